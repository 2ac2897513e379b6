//! Bytes that both ends can compute for themselves.
//!
//! A client that wants to prove it received a whole file needs to know what the file holds. Here
//! the content is a function of the file's size and the position alone (SplitMix64 run as a
//! counter), so every server has the same file without storing it, a transfer can start at any
//! offset without computing what comes before, and the client checks each byte as it arrives.

/// Bytes computed at a time: one output of the generator.
const BLOCK: usize = 8;

/// The content of one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    size: u64,
}

impl Content {
    /// The file of `size` bytes; the size is also the seed, so files of different sizes differ.
    pub(crate) fn of_size(size: u64) -> Self {
        Self { size }
    }

    /// Fills `buffer` with the bytes from `offset` on and returns how many there were: fewer than
    /// `buffer` holds at the end of the file, none beyond it.
    pub(crate) fn fill(self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = self.size.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut position = offset;
        let mut rest = &mut buffer[..wanted];
        while !rest.is_empty() {
            let (block, skip) = self.block_at(position);
            let count = (BLOCK - skip).min(rest.len());
            let (head, tail) = rest.split_at_mut(count);
            head.copy_from_slice(&block[skip..skip + count]);
            position += count as u64;
            rest = tail;
        }
        wanted
    }

    /// The position of the first byte in `received`, which arrived as the bytes from `offset` on,
    /// that is not what the file holds there. Bytes beyond the file's end differ.
    pub(crate) fn first_difference(self, offset: u64, received: &[u8]) -> Option<u64> {
        let mut expected = vec![0; received.len()];
        let known = self.fill(offset, &mut expected);
        let same =
            received.iter().zip(&expected[..known]).take_while(|(got, want)| got == want).count();
        (same < received.len()).then(|| offset + same as u64)
    }

    /// The generator's output that covers `position`, and where in it that position lies.
    fn block_at(self, position: u64) -> ([u8; BLOCK], usize) {
        let skip = usize::from(position.to_le_bytes()[0]) % BLOCK;
        let counter = position / BLOCK as u64;
        let word = mix(mix(self.size).wrapping_add(counter.wrapping_mul(GOLDEN)));
        (word.to_le_bytes(), skip)
    }
}

/// The odd fraction of the golden ratio by which SplitMix64 steps its counter.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function (Steele, Lea and Flood, OOPSLA 2014).
fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, 64 bits: a fingerprint to print, so that two reports of the same file can be compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of nothing.
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in more bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The fingerprint of all bytes so far.
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(size: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(size).unwrap() + 5];
        let count = Content::of_size(size).fill(0, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn any_offset_yields_the_same_bytes_as_reading_from_the_start() {
        let file = whole(1000);
        assert_eq!(file.len(), 1000);
        for offset in 0..=1000 {
            let mut tail = [0; 37];
            let count = Content::of_size(1000).fill(offset as u64, &mut tail);
            assert_eq!(tail[..count], file[offset..(offset + 37).min(1000)]);
        }
    }

    #[test]
    fn a_position_beyond_the_end_yields_nothing() {
        assert_eq!(Content::of_size(10).fill(10, &mut [0; 4]), 0);
        assert_eq!(Content::of_size(10).fill(u64::MAX, &mut [0; 4]), 0);
    }

    #[test]
    fn one_wrong_byte_is_found_where_it_is() {
        let mut received = whole(100);
        assert_eq!(Content::of_size(100).first_difference(0, &received), None);
        received[63] ^= 1;
        assert_eq!(Content::of_size(100).first_difference(0, &received), Some(63));
        assert_eq!(Content::of_size(100).first_difference(60, &received[60..]), Some(63));
    }

    #[test]
    fn a_byte_too_many_is_a_difference() {
        let mut received = whole(20);
        received.push(0);
        assert_eq!(Content::of_size(20).first_difference(0, &received), Some(20));
    }

    #[test]
    fn the_generator_matches_splitmix64s_published_sequence() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(GOLDEN), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        let mut fingerprint = Fingerprint::new();
        fingerprint.update(b"foo");
        fingerprint.update(b"bar");
        assert_eq!(fingerprint.get(), 0x8594_4171_f739_67e8);
    }
}
