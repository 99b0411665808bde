//! The codec through its public face.

mod check;
mod corpus;
mod packets;
mod peers;
mod properties;
mod stream;
mod vars;
mod writer;

/// A block of the given variables, put together without the crate's help.
fn block(vars: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for string in vars.iter().flat_map(|(key, value)| [key, value]) {
        block.extend(u16::try_from(string.len()).unwrap().to_le_bytes());
        block.extend(string.as_bytes());
    }
    block
}

/// A packet put together without the crate's help.
fn packet(modifier1: u8, modifier2: u8, block: &[u8]) -> Vec<u8> {
    let [low, high] = u16::try_from(block.len()).unwrap().to_le_bytes();
    [&[modifier1, low, high, modifier2], block].concat()
}
