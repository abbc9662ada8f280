//! Signed messages: exactly one literal, signed once, perhaps compressed.

use std::io::Read as _;

use pgp::packet::{LiteralData, Packet, PacketParser, Signature};

use super::error::OpenPgpError;

/// The longest content of a message in bytes, uncompressed.
const CONTENT_LEN_MAX: u64 = 4 * 1024 * 1024;
/// A message has three packets; more than a few are not looked at.
const PACKETS_MAX: usize = 8;

/// A message of which nothing is verified.
pub(super) struct SignedMessage {
    pub(super) content: LiteralData,
    pub(super) signature: Signature,
}

/// Takes a message apart.
pub(super) fn parse(blob: &[u8]) -> Result<SignedMessage, OpenPgpError> {
    let packets = packets(blob)?;
    if let [Packet::CompressedData(compressed)] = &packets[..] {
        let decompressor = compressed.decompress().map_err(|error| wrong(&error))?;
        let mut inner = Vec::new();
        decompressor
            .take(CONTENT_LEN_MAX + 1)
            .read_to_end(&mut inner)
            .map_err(|error| wrong(&error))?;
        if inner.len() as u64 > CONTENT_LEN_MAX {
            return Err(wrong(&"it is too long"));
        }
        return signed(self::packets(&inner)?);
    }
    signed(packets)
}

fn wrong(problem: &impl ToString) -> OpenPgpError {
    let problem = crate::go_text::plain(&problem.to_string());
    OpenPgpError::Message { problem }
}

fn packets(bytes: &[u8]) -> Result<Vec<Packet>, OpenPgpError> {
    let mut packets = Vec::new();
    for packet in PacketParser::new(bytes) {
        packets.push(packet.map_err(|error| wrong(&error))?);
        if packets.len() > PACKETS_MAX {
            return Err(wrong(&"it has too many packets"));
        }
    }
    Ok(packets)
}

fn signed(packets: Vec<Packet>) -> Result<SignedMessage, OpenPgpError> {
    let is_signature =
        |packet: &&Packet| matches!(packet, Packet::Signature(_) | Packet::OnePassSignature(_));
    let (n, n_one_pass) = (
        packets.iter().filter(is_signature).count(),
        packets
            .iter()
            .filter(|packet| matches!(packet, Packet::OnePassSignature(_)))
            .count(),
    );
    let has_literal = |packet: &Packet| matches!(packet, Packet::LiteralData(_));
    let mut packets = packets.into_iter();
    match (
        packets.next(),
        packets.next(),
        packets.next(),
        packets.next(),
    ) {
        (
            Some(Packet::OnePassSignature(announced)),
            Some(Packet::LiteralData(content)),
            Some(Packet::Signature(signature)),
            None,
        ) if announced.matches(&signature) => Ok(SignedMessage { content, signature }),
        (Some(Packet::Signature(signature)), Some(Packet::LiteralData(content)), None, None) => {
            Ok(SignedMessage { content, signature })
        }
        (first, second, third, _) => {
            let has_literal = [&first, &second, &third]
                .into_iter()
                .flatten()
                .any(has_literal);
            match n - n_one_pass {
                1 => Err(wrong(&"it is not content and its signature")),
                count if has_literal => Err(OpenPgpError::Count { count }),
                _ => Err(wrong(&"No data")),
            }
        }
    }
}
