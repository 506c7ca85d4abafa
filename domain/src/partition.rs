//! The log partition: FitTrack's one unit of order, chosen from the owner exactly as Kafka's default partitioner does.
//! Used by the store when it appends and by everybody who must know where an owner's events are.
use uuid::Uuid;

/// How many log partitions a new event store gets. Fixed for the life of a store and checked at every start.
pub const DEFAULT_PARTITIONS: i32 = 32;

/// The partition of `owner_id` among `partitions` (at least 1): murmur2 of its hyphenated lower-case text, made positive, modulo.
///
/// The text is also the key of the Kafka message, so any Kafka client's default partitioner agrees.
pub fn partition_of(owner_id: Uuid, partitions: i32) -> i32 {
    let mut text = Uuid::encode_buffer();
    let key = owner_id.hyphenated().encode_lower(&mut text).as_bytes();
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive).unwrap_or(0) % partitions.max(1)
}

/// Murmur2 with Kafka's seed (`org.apache.kafka.common.utils.Utils.murmur2`).
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Kafka hashes lengths as 32-bit integers; keys here are 36 bytes.
    let mut h = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    for (i, byte) in rest.iter().enumerate().rev() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the Kafka project's own `UtilsTest.testMurmur2`, as signed integers there.
    #[test]
    fn murmur2_agrees_with_kafka() {
        let vectors: [(&str, i32); 8] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
            ("a", -1_563_381_124),
        ];
        for (text, expected) in vectors {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_partition_is_within_range_for_any_owner() {
        for n in 0..1000_u128 {
            let partition = partition_of(Uuid::from_u128(n * 0x1234_5678_9abc_def1), DEFAULT_PARTITIONS);
            assert!((0..DEFAULT_PARTITIONS).contains(&partition));
        }
    }
}
