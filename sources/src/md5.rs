//! MD5, for checksums that sources offer. It guards against broken downloads, not against people.

use ansatz_core::ids::hex;
use std::io::Read;

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The MD5 of everything that a reader gives, as hexadecimal digits.
pub(crate) fn of(mut reader: impl Read) -> std::io::Result<String> {
    let table = table();
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476_u32];
    let (mut kept, mut total) = (Vec::new(), 0_u64);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        kept.extend_from_slice(&piece[..read]);
        let whole = kept.len() / 64 * 64;
        kept[..whole].chunks_exact(64).for_each(|block| mix(&mut state, block, &table));
        kept.drain(..whole);
    }
    kept.push(0x80);
    kept.resize(kept.len() + (120 - kept.len() % 64) % 64, 0);
    kept.extend_from_slice(&(total * 8).to_le_bytes());
    kept.chunks_exact(64).for_each(|block| mix(&mut state, block, &table));
    let digest: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    Ok(hex(&digest))
}

/// The constants: the whole part of 2^32 times the sine of each number.
fn table() -> [u32; 64] {
    std::array::from_fn(|i| ((i as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32)
}

fn mix(state: &mut [u32; 4], block: &[u8], table: &[u32; 64]) {
    let words: Vec<u32> = block
        .chunks_exact(4)
        .map(|bytes| bytes.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte)))
        .collect();
    let [mut a, mut b, mut c, mut d] = *state;
    for i in 0..64 {
        let (value, at) = match i / 16 {
            0 => ((b & c) | (!b & d), i),
            1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
            2 => (b ^ c ^ d, (3 * i + 5) % 16),
            _ => (c ^ (b | !d), (7 * i) % 16),
        };
        let sum = a.wrapping_add(value).wrapping_add(table[i]).wrapping_add(words[at]);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4]));
    }
    for (kept, new) in state.iter_mut().zip([a, b, c, d]) {
        *kept = kept.wrapping_add(new);
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_digests_of_the_standard() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(of(text.as_bytes()).unwrap(), digest, "{text}");
        }
        // Around the end of a block the padding takes another one.
        assert_eq!(of([b'a'; 55].as_slice()).unwrap(), "ef1772b6dff9a122358552954ad0df65");
        assert_eq!(of([b'a'; 56].as_slice()).unwrap(), "3b0c8ac703f828b04c6c197006d17218");
        assert_eq!(of([b'a'; 64].as_slice()).unwrap(), "014842d480b571495a4a0363793f7367");
    }
}
