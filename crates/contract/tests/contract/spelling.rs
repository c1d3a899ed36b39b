//! The same document, written otherwise.

use std::fmt::Write;

use serde_json::Value as Tree;

/// Writes a document with escapes, orders of members and forms of numbers that `seed` chooses.
pub fn spelled(document: &Tree, seed: u64) -> String {
    let mut text = String::new();
    write(document, &mut Choices(seed), &mut text);
    text
}

struct Choices(u64);

impl Choices {
    /// One of so many; SplitMix64.
    fn of(&mut self, choices: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % choices
    }
}

fn write(value: &Tree, choices: &mut Choices, text: &mut String) {
    match value {
        Tree::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            let turn = choices.of(members.len().max(1) as u64);
            members.rotate_left(turn as usize);
            if choices.of(2) == 0 {
                members.reverse();
            }
            text.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                write_text(name, choices, text);
                text.push(':');
                write(member, choices, text);
            }
            text.push('}');
        }
        Tree::Array(elements) => {
            text.push('[');
            for (at, element) in elements.iter().enumerate() {
                text.push_str(if at > 0 { " , " } else { "" });
                write(element, choices, text);
            }
            text.push(']');
        }
        Tree::String(string) => write_text(string, choices, text),
        Tree::Number(number) => write_number(&number.to_string(), choices, text),
        _ => write!(text, "{value}").unwrap(),
    }
}

fn write_text(string: &str, choices: &mut Choices, text: &mut String) {
    let plain = choices.of(2) == 0;
    text.push('"');
    for letter in string.chars() {
        if plain || choices.of(2) == 0 {
            let quoted = Tree::from(letter.to_string()).to_string();
            text.push_str(&quoted[1..quoted.len() - 1]);
        } else {
            letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(text, "\\u{unit:04x}").unwrap());
        }
    }
    text.push('"');
}

/// Long numbers stay as they are: written as decimals they would not survive.
fn write_number(number: &str, choices: &mut Choices, text: &mut String) {
    text.push_str(number);
    if number.len() > 15 || number.contains('e') {
        return;
    }
    let fraction = if number.contains('.') { "0" } else { ".0" };
    text.push_str(["", fraction, "e0", "", fraction][choices.of(5) as usize]);
}
