use super::*;
use crate::person::{IuvMap, PARTS};

/// Two people whose parts and coordinates vary as real ones do, in every combination of equal neighbours.
fn people() -> Persons {
    let person = |id: u32, x: i32, w: usize, h: usize| {
        let pixel = |i: usize| {
            let (x, y) = (i % w, i / w);
            match (x / 5 + y / 7 + x * y % 11 / 9) % 27 {
                part @ 1..=24 => [part as u8, (x * 9 + y) as u8, (y * 5 + x / 3) as u8],
                _ => [0; 3],
            }
        };
        let iuv = IuvMap::new(w, h, (0..w * h).flat_map(pixel).collect()).unwrap();
        Person { id, score: 1.0 / (id as f32 + 1.0), x, y: -3, iuv }
    };
    let persons = vec![person(1, -7, 61, 83), person(u32::MAX, 400, 30, 12), person(3, 0, 0, 5), person(4, 1, 1, 1)];
    Persons { width: 640, height: 360, age: 2, moved: false, persons }
}

#[test]
fn what_is_written_is_read() {
    let nobody = Persons { width: 1, height: u32::MAX, age: u32::MAX, moved: false, persons: vec![] };
    for persons in [people(), nobody, Persons::default()] {
        assert!(decode(&encode(&persons)) == Ok(persons));
    }
    let raw: usize = people().persons.iter().map(|p| p.iuv.data().len()).sum();
    assert!(encode(&people()).len() < raw / 2, "{} of {raw}", encode(&people()).len());
}

#[test]
fn the_headers_are_as_documented() {
    let packet = encode(&people());
    assert_eq!(packet[..16], [1, 8, 0, 4, 0, 0, 2, 128, 0, 0, 1, 104, 0, 0, 0, 2]);
    assert_eq!(packet[16..24], [0, 0, 0, 1, 0x3f, 0, 0, 0], "id 1, score 0.5");
    assert_eq!(packet[24..40], [255, 255, 255, 249, 255, 255, 255, 253, 0, 0, 0, 61, 0, 0, 0, 83]);
    assert_eq!(packet[16 + 4 * 24] & 15, 8, "zlib");
}

#[test]
fn the_maps_are_as_documented() {
    // Part 5 in all pixels but one; precision 8.
    let iuv = IuvMap::new(2, 2, vec![5, 10, 255, 5, 12, 0, 5, 13, 100, 0, 0, 0]).unwrap();
    let mut raw = Vec::new();
    maps::write(&iuv, 8, &mut raw);
    assert_eq!(raw, [5, 5, 0, 5, 10, 2, 3, 255, 1, 101]);
}

#[test]
fn at_less_precision_only_coordinates_change_and_no_more_than_half_a_step() {
    let exact = people();
    let mut sizes = vec![encode(&exact).len()];
    for precision in (1..8).rev() {
        let packet = encode_with(&exact, precision);
        sizes.push(packet.len());
        let read = decode(&packet).unwrap();
        let half_step = 255.0 / f64::from((1u32 << precision) - 1) / 2.0 + 0.5;
        for (a, b) in exact.persons.iter().zip(&read.persons) {
            assert_eq!(
                (a.id, a.score, a.x, a.y, a.width(), a.height()),
                (b.id, b.score, b.x, b.y, b.width(), b.height())
            );
            for (a, b) in a.iuv.data().chunks(3).zip(b.iuv.data().chunks(3)) {
                assert_eq!(a[0], b[0]);
                let worst = a[1].abs_diff(b[1]).max(a[2].abs_diff(b[2]));
                assert!(f64::from(worst) <= half_step, "{a:?} {b:?} at {precision}");
            }
        }
        assert_eq!(encode_with(&read, precision), packet, "coding again changes nothing");
    }
    assert!(sizes[7] < sizes[0], "{sizes:?}");
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let iuv = IuvMap::new(3, 1, vec![PARTS + 1, 1, 2, 0, 3, 4, PARTS, 5, 6]).unwrap();
    let person = Person { id: 1, score: f32::NAN, x: 0, y: 0, iuv };
    let large = Person { iuv: IuvMap::background(1 << 14, 1 << 12), ..person.clone() };
    let persons = Persons { width: 640, height: 360, age: 0, moved: false, persons: vec![person.clone(), large] };
    let read = decode(&encode(&persons)).unwrap().persons;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].score, 0.0);
    assert_eq!(read[0].iuv.data(), [0, 0, 0, 0, 0, 0, PARTS, 5, 6]);
}

#[test]
fn a_packet_cut_off_anywhere_or_too_long_is_an_error() {
    let packet = encode(&people());
    for n in 0..packet.len() {
        assert!(decode(&packet[..n]).is_err(), "{n} of {}", packet.len());
    }
    let longer = [&packet[..], &[0]].concat();
    assert!(matches!(decode(&longer), Err(PacketError::Maps(_))));
}

#[test]
fn no_flipped_bit_is_fatal() {
    let people = Persons { persons: people().persons.split_off(1), ..people() };
    let packet = encode(&people);
    let maps = 16 + 3 * PERSON_HEADER;
    let mut unnoticed = 0;
    for bit in 0..packet.len() * 8 {
        let mut damaged = packet.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let read = decode(&damaged);
        unnoticed += usize::from(bit / 8 >= maps && read.is_ok_and(|read| read != people));
    }
    // zlib's sum is a weak one; that of the fragments, tested below, lets no flipped bit pass.
    assert!(unnoticed < 5, "{unnoticed}");
}

#[test]
fn other_versions_and_nonsense_are_named() {
    let packet = encode(&people());
    let with = |offset: usize, bytes: &[u8]| {
        let mut changed = packet.clone();
        changed[offset..offset + bytes.len()].copy_from_slice(bytes);
        decode(&changed).unwrap_err()
    };
    assert_eq!(with(0, &[2]), PacketError::Version(2));
    assert!(with(0, &[2]).to_string().contains("newer"));
    assert_eq!(with(1, &[0]), PacketError::Precision(0));
    assert_eq!(with(1, &[9]), PacketError::Precision(9));
    assert!(matches!(with(1, &[4]), PacketError::Maps(m) if m.contains("precision")));
    assert_eq!(with(2, &[255, 255]), PacketError::Truncated { bytes: packet.len() });
    assert_eq!(with(20, &f32::NAN.to_be_bytes()), PacketError::Score { id: 1 });
    assert_eq!(with(20, &1.5f32.to_be_bytes()), PacketError::Score { id: 1 });
}

#[test]
fn sizes_that_lie_are_refused_before_anything_is_allocated() {
    let mut packet = encode(&people());
    packet[32..40].copy_from_slice(&[255; 8]);
    assert!(matches!(decode(&packet), Err(PacketError::Box { w: u32::MAX, width: 640, .. })));
    // Within the frame's limit, but more than so few bytes can hold.
    let size = |w: u32, h: u32| [w.to_be_bytes(), h.to_be_bytes()].concat();
    packet[32..40].copy_from_slice(&size(1280, 720));
    let few = &packet[..16 + 4 * PERSON_HEADER + 20];
    assert!(matches!(decode(few), Err(PacketError::TooLarge { limit: 20640, .. })));
    // More than the frame has room for, although each box may be there.
    let mut full = packet.clone();
    for person in 0..3 {
        full[32 + person * PERSON_HEADER..][..8].copy_from_slice(&size(1280, 720));
    }
    assert!(matches!(decode(&full), Err(PacketError::TooLarge { limit, .. }) if limit == 8 * 640 * 360));
    // A frame that the video cannot have had.
    assert!(decode_within(&encode(&people()), (320, 180)).is_ok());
    assert!(matches!(decode_within(&encode(&people()), (319, 180)), Err(PacketError::Frame { width: 640, .. })));
    // One pixel more than there is.
    packet[32..40].copy_from_slice(&[0, 0, 0, 61, 0, 0, 0, 84]);
    assert!(matches!(decode(&packet), Err(PacketError::Maps(_))));
}

/// A packet of one person of `w` by 1 pixels and `raw` before compression.
fn packet(w: u32, raw: &[u8]) -> Vec<u8> {
    let mut packet = encode(&Persons { width: 9, height: 9, ..Persons::default() })[..16].to_vec();
    packet[3] = 1;
    packet.extend([0; 16]);
    packet.extend(w.to_be_bytes());
    packet.extend(1u32.to_be_bytes());
    ZlibEncoder::new(raw, Compression::best()).read_to_end(&mut packet).unwrap();
    packet
}

#[test]
fn a_bomb_is_not_inflated() {
    assert!(decode(&packet(3, &[1, 0, 0, 7, 8])).is_ok());
    // 16 MiB of zeros behind the one pixel that the box has.
    let bomb = packet(1, &vec![0; 1 << 24]);
    assert!(bomb.len() < 20_000);
    assert!(matches!(decode(&bomb), Err(PacketError::Maps(m)) if m.contains("more bytes")));
}

#[test]
fn parts_and_coordinates_out_of_range_are_errors() {
    assert!(matches!(decode(&packet(1, &[25, 0, 0])), Err(PacketError::Maps(m)) if m.contains("part")));
    let mut low = packet(1, &[24, 4, 0]);
    low[1] = 2;
    assert!(matches!(decode(&low), Err(PacketError::Maps(m)) if m.contains("precision")));
}

fn joined(fragments: &[Vec<u8>]) -> Result<Option<Vec<u8>>, JoinError> {
    join(fragments.iter().map(Vec::as_slice))
}

#[test]
fn fragments_make_the_packet_again_in_any_order_and_twice() {
    let packet = encode(&people());
    for size in [0, 64, 100, packet.len() + HEADER_SIZE - 1, packet.len() + HEADER_SIZE, usize::MAX] {
        let mut fragments = split(&packet, size, 9);
        assert!(fragments.iter().all(|f| f.len() <= size.max(64) && f.starts_with(&UUID)));
        assert_eq!(fragments.len(), packet.len().div_ceil(size.max(64) - HEADER_SIZE));
        assert_eq!(joined(&fragments), Ok(Some(packet.clone())));
        fragments.reverse();
        fragments.extend(fragments.clone());
        fragments.insert(1, b"of somebody else, and long enough for a header".to_vec());
        assert_eq!(joined(&fragments), Ok(Some(packet.clone())), "size {size}");
    }
    let large = vec![7; 40 << 16];
    let fragments = split(&large, 64, 0);
    assert!(fragments.len() <= 65535);
    assert_eq!(joined(&fragments), Ok(Some(large)));
}

/// Bytes of a fragment before those of the packet.
const HEADER_SIZE: usize = 29;

#[test]
fn lost_foreign_and_damaged_fragments_are_told_apart() {
    let packet = encode(&people());
    let fragments = split(&packet, 300, 9);
    let count = fragments.len();
    assert!(count > 2);
    assert_eq!(joined(&[]), Ok(None));
    for lost in 0..count {
        let mut rest = fragments.clone();
        rest.remove(lost);
        assert_eq!(joined(&rest), Err(JoinError::Incomplete { present: count - 1, count }));
    }
    let mut foreign = fragments.clone();
    foreign.iter_mut().for_each(|f| f[0] ^= 1);
    assert_eq!(joined(&foreign), Ok(None));
    let mut newer = fragments.clone();
    newer.iter_mut().for_each(|f| f[16] = 2);
    assert_eq!(joined(&newer), Err(JoinError::Version(2)));
    newer.extend(fragments.clone());
    assert_eq!(joined(&newer), Ok(Some(packet.clone())), "what is known beside it counts");
    for n in 0..HEADER_SIZE {
        let expected = if n < UUID.len() { Ok(None) } else { Err(JoinError::Header) };
        assert_eq!(joined(&[fragments[0][..n].to_vec()]), expected, "{n} bytes");
    }
    for bit in UUID.len() * 8..fragments[1].len() * 8 {
        let mut damaged = fragments.clone();
        damaged[1][bit / 8] ^= 1 << (bit % 8);
        assert!(joined(&damaged).is_err(), "bit {bit}");
    }
    assert_eq!(joined(&[UUID.to_vec(), [&UUID[..], &[1], &[0; 12]].concat()]), Err(JoinError::Header), "0 of 0");
}

#[test]
fn of_several_packets_the_last_complete_one_counts() {
    let (first, second) = (encode(&people()), encode(&Persons::default()));
    let mut fragments = split(&first, 300, 1);
    fragments.extend(split(&second, 300, 2));
    assert_eq!(joined(&fragments), Ok(Some(second)));
    fragments.truncate(fragments.len() - 1);
    fragments.push(split(&vec![1; 999], 300, 3)[0].clone());
    assert_eq!(joined(&fragments), Ok(Some(first)));
}
