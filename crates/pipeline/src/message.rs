//! Protobuf messages written from borrowed parts: a document is copied once, to where it is sent from.

/// The value of a field. What is zero or empty is left out, as proto3 does, except a message.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// A `uint64`, `uint32` or enumeration; an `int64` as its two's complement.
    Number(u64),
    /// `bytes` or a `string`.
    Bytes(&'a [u8]),
    /// A message: its fields.
    Message(&'a [Field<'a>]),
}

/// A field number below 16 and a value.
pub(crate) type Field<'a> = (u8, Value<'a>);

/// Bytes that a message of `fields` takes.
pub(crate) fn length(fields: &[Field<'_>]) -> usize {
    fields
        .iter()
        .map(|(_, value)| match value {
            Value::Number(0) | Value::Bytes([]) => 0,
            Value::Number(number) => 1 + varint_length(*number),
            Value::Bytes(bytes) => delimited_length(bytes.len()),
            Value::Message(fields) => delimited_length(length(fields)),
        })
        .sum()
}

/// Appends a message of `fields`.
pub(crate) fn write(fields: &[Field<'_>], out: &mut Vec<u8>) {
    for (number, value) in fields {
        match value {
            Value::Number(0) | Value::Bytes([]) => {}
            Value::Number(value) => {
                out.push(number << 3);
                put_varint(*value, out);
            }
            Value::Bytes(bytes) => {
                put_delimiter(*number, bytes.len(), out);
                out.extend_from_slice(bytes);
            }
            Value::Message(fields) => {
                put_delimiter(*number, length(fields), out);
                write(fields, out);
            }
        }
    }
}

/// Bytes that a field of `length` bytes takes with its number and its length.
pub(crate) fn delimited_length(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

/// Appends what stands before `length` bytes of a field.
pub(crate) fn put_delimiter(number: u8, length: usize, out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    put_varint(length as u64, out);
}

fn varint_length(value: u64) -> usize {
    (value | 1).ilog2() as usize / 7 + 1
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Inner {
        #[prost(bytes = "vec", tag = "2")]
        text: Vec<u8>,
        #[prost(int64, tag = "7")]
        time: i64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Outer {
        #[prost(uint64, tag = "1")]
        number: u64,
        #[prost(message, optional, tag = "15")]
        inner: Option<Inner>,
    }

    proptest::proptest! {
        #[test]
        fn writes_what_a_protobuf_library_writes(number: u64, time: i64, text in ".{0,300}") {
            let text = text.into_bytes();
            let inner = [(2, Value::Bytes(&text)), (7, Value::Number(time.cast_unsigned()))];
            let fields = [(1, Value::Number(number)), (15, Value::Message(&inner))];
            let mut ours = vec![];
            write(&fields, &mut ours);
            let theirs = Outer { number, inner: Some(Inner { text: text.clone(), time }) };
            assert_eq!(ours.len(), length(&fields));
            assert_eq!(ours, theirs.encode_to_vec());
        }
    }
}
