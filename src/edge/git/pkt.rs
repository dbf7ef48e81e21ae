//! Git's packet lines: four hex digits of length, then the payload; `0000` is a flush.
//! See gitprotocol-common(5) and gitprotocol-pack(5).

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// `0000`, the end of a section.
    Flush,
    /// A payload, possibly binary.
    Data(Vec<u8>),
}

/// The bytes were not packet lines.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a packet length of four hex digits, found {0:?}")]
pub(super) struct NotAPacket(String);

/// Puts packets together from pieces of any size; holds at most one packet and one piece.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Takes the next piece of the stream.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole packet, `None` until more is fed.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, NotAPacket> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some((digits, payload)) = rest.split_at_checked(4) else { return Ok(None) };
        let length = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .ok_or_else(|| NotAPacket(String::from_utf8_lossy(digits).into_owned()))?;
        match length {
            0 => {
                self.start += 4;
                Ok(Some(Packet::Flush))
            }
            // The delimiters of protocol version 2, which was not asked for.
            1..4 => Err(NotAPacket(String::from_utf8_lossy(digits).into_owned())),
            length => {
                let Some(data) = payload.get(..length - 4) else { return Ok(None) };
                let packet = Packet::Data(data.to_vec());
                self.start += length;
                Ok(Some(packet))
            }
        }
    }

    /// Whether everything that was fed has been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }
}

/// Appends a text line to a request.
pub(super) fn write_line(request: &mut Vec<u8>, line: &str) {
    request.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
}

/// Appends a flush to a request.
pub(super) fn write_flush(request: &mut Vec<u8>) {
    request.extend_from_slice(b"0000");
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Packet, write_flush, write_line};

    #[test]
    fn what_is_written_is_read_back_from_pieces_of_any_size() {
        let mut stream = Vec::new();
        write_line(&mut stream, "want 1");
        write_flush(&mut stream);
        write_line(&mut stream, "done");
        stream.extend_from_slice(b"0004");
        let expected = [
            Packet::Data(b"want 1\n".to_vec()),
            Packet::Flush,
            Packet::Data(b"done\n".to_vec()),
            Packet::Data(Vec::new()),
        ];
        for size in 1..=stream.len() {
            let mut decoder = Decoder::default();
            let mut packets = Vec::new();
            for piece in stream.chunks(size) {
                decoder.feed(piece);
                while let Some(packet) = decoder.next().unwrap() {
                    packets.push(packet);
                }
            }
            assert_eq!(packets, expected, "in pieces of {size}");
            assert!(decoder.is_empty());
        }
    }

    #[test]
    fn what_is_no_packet_is_an_error() {
        for bad in ["<htm", "+123", "0001", "00é"] {
            let mut decoder = Decoder::default();
            decoder.feed(bad.as_bytes());
            assert!(decoder.next().is_err(), "{bad}");
        }
    }
}
