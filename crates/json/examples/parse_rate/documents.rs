//! Documents as connectors send them: customer records of 20 fields, about 914 bytes.

use std::fmt::Write;
use std::ops::Range;

use serde_json::{Value, json};

pub const FIELDS: [&str; 20] = [
    "id",
    "email",
    "full_name",
    "status",
    "created_at",
    "updated_at",
    "phone",
    "locale",
    "balance",
    "credit_limit",
    "order_count",
    "risk_score",
    "active",
    "description",
    "notes",
    "address",
    "tags",
    "external_ref",
    "currency",
    "last_login_at",
];

/// How a producer writes a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// No whitespace, text as UTF-8.
    Compact,
    /// No whitespace and nothing but ASCII in it.
    Ascii,
    /// Spaces after `,` and `:`, everything beyond ASCII as `\u`.
    Python,
    /// One member a line.
    Pretty,
}

/// Documents in one buffer, something else between them.
#[derive(Clone)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub ranges: Vec<Range<usize>>,
}

impl Batch {
    /// `shapes` says in how many different orders the fields occur.
    pub fn records(count: usize, shapes: usize, spelling: Spelling) -> Self {
        let mut random = Random(0x1234_5678_9ABC_DEF1);
        let mut batch = Self { bytes: Vec::new(), ranges: Vec::new() };
        for record in 0..count {
            let mut fields: Vec<usize> = (0..FIELDS.len()).collect();
            let mut order = Random(1 + (record % shapes) as u64 * 7919);
            if shapes > 1 {
                (0..4).for_each(|_| fields.swap(order.below(20), order.below(20)));
            }
            let words = if spelling == Spelling::Ascii { &WORDS[4..] } else { WORDS };
            let members: Vec<_> =
                fields.iter().map(|&at| (FIELDS[at], value(at, words, &mut random))).collect();
            batch.bytes.extend_from_slice(&[0x0A, 0x12, 0x34]);
            let start = batch.bytes.len();
            let text = write(&members, spelling, "");
            let text = if spelling == Spelling::Python { escape(&text) } else { text };
            batch.bytes.extend_from_slice(text.as_bytes());
            batch.ranges.push(start..batch.bytes.len());
        }
        batch
    }

    pub fn mean_len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum::<usize>() / self.ranges.len()
    }
}

/// Members in the producer's order.
type Object = Vec<(&'static str, Field)>;

enum Field {
    Plain(Value),
    Nested(Object),
}

fn write(members: &Object, spelling: Spelling, indent: &str) -> String {
    let inner = format!("{indent}  ");
    let (colon, comma) =
        if matches!(spelling, Spelling::Compact | Spelling::Ascii) { (":", ",") } else { (": ", ", ") };
    let mut text = String::from("{");
    for (position, (name, field)) in members.iter().enumerate() {
        match spelling {
            Spelling::Pretty => text.push_str(&[if position > 0 { ",\n" } else { "\n" }, &inner].concat()),
            _ => text.push_str(if position > 0 { comma } else { "" }),
        }
        let value = match field {
            Field::Plain(value) => value.to_string(),
            Field::Nested(members) => write(members, spelling, &inner),
        };
        write!(text, "\"{name}\"{colon}{value}").expect("a string takes everything");
    }
    if spelling == Spelling::Pretty {
        text.push_str(&["\n", indent].concat());
    }
    text + "}"
}

/// Everything beyond ASCII as `\u`, the default of Python's json.
fn escape(text: &str) -> String {
    let mut units = [0; 2];
    text.chars().fold(String::new(), |mut escaped, character| {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes everything");
            }
        }
        escaped
    })
}

const WORDS: &[&str] = &[
    "Zürich",
    "naïve",
    "東京",
    "façade",
    "runway",
    "gate",
    "delayed",
    "carrier",
    "inbound",
    "weather",
    "de-icing",
    "slot",
    "crew",
    "holding",
    "diverted",
    "taxi",
    "apron",
    "freight",
    "visibility",
    "ceiling",
    "transfer",
    "standby",
    "rebooked",
    "terminal",
];

fn value(field: usize, words: &[&str], random: &mut Random) -> Field {
    let time = |random: &mut Random| {
        format!(
            "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            20 + random.below(7),
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(60),
            random.below(60),
            random.below(1000)
        )
    };
    Field::Plain(match field {
        0 => json!(format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            random.below(1 << 32),
            random.below(1 << 16),
            random.below(1 << 12),
            random.below(1 << 12),
            random.below(1 << 48)
        )),
        1 => json!(format!("user{}@example{}.com", random.below(1_000_000), random.below(100))),
        2 => json!(text(words, random, 18)),
        3 => json!(["new", "active", "suspended", "closed"][random.below(4)]),
        4 | 5 | 19 => json!(time(random)),
        6 => json!(format!("+44{:010}", random.below(10_000_000_000))),
        7 => json!(["en-GB", "de-DE", "fr-FR", "ja-JP"][random.below(4)]),
        8 => json!(random.below(10_000_000) as f64 / 100.0),
        9 => json!(random.below(50) * 500),
        10 => json!(random.below(2000)),
        11 => json!(random.below(1_000_000) as f64 / 1e6),
        12 => json!(random.below(2) == 0),
        13 => json!(text(words, random, 224) + if random.below(10) == 0 { "\nsecond \"line\"" } else { "" }),
        14 if random.below(10) == 0 => Value::Null,
        14 => json!(text(words, random, 60)),
        15 => {
            let members: [(&'static str, Value); 5] = [
                ("street", json!(format!("{} {}", random.below(300), text(words, random, 12)))),
                ("city", json!(text(words, random, 6))),
                ("zip", json!(format!("{:05}", random.below(100_000)))),
                ("country", json!(["GB", "DE", "FR", "JP"][random.below(4)])),
                ("residential", json!(random.below(2) == 0)),
            ];
            return Field::Nested(
                members.into_iter().map(|(name, value)| (name, Field::Plain(value))).collect(),
            );
        }
        16 => (0..2 + random.below(4)).map(|_| words[random.below(words.len())]).collect(),
        17 => json!(format!("EXT-{:016x}", random.next())),
        _ => json!(["GBP", "EUR", "USD", "JPY"][random.below(4)]),
    })
}

fn text(words: &[&str], random: &mut Random, len: usize) -> String {
    let mut text = String::from(words[random.below(words.len())]);
    while text.len() < len {
        text.push(' ');
        text.push_str(words[random.below(words.len())]);
    }
    text
}

/// xorshift64: the same documents in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }
}
