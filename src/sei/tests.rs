use super::*;

const UUID: [u8; 16] = [7; 16];

const FRAMINGS: [Framing; 4] = [Framing::ByteStream, Framing::Length(1), Framing::Length(2), Framing::Length(4)];

fn payload(rest: &[u8]) -> Vec<u8> {
    [&UUID[..], rest].concat()
}

/// An access unit of these NAL units; in a byte stream with long and short start codes in turn.
fn unit(framing: Framing, nals: &[&[u8]]) -> Vec<u8> {
    let mut unit = Vec::new();
    for (i, nal) in nals.iter().enumerate() {
        match framing {
            Framing::ByteStream => unit.extend(&[0, 0, 0, 1][i % 2..]),
            Framing::Length(size) => unit.extend(&(nal.len() as u64).to_be_bytes()[8 - size..]),
        }
        unit.extend(*nal);
    }
    unit
}

fn contents(framing: Framing, unit: &[u8]) -> Result<Vec<Vec<u8>>, SeiError> {
    nals(framing, unit).map(|n| n.map(|n| unit[n.content].to_vec())).collect()
}

/// Delimiter, parameter sets, a foreign SEI, and two slices.
fn nal_units(codec: Codec) -> Vec<&'static [u8]> {
    match codec {
        Codec::H264 => vec![&[9, 16], &[0x67, 1], &[0x68, 2], &[6, 1, 2, 3, 4, 0x80], &[0x65, 5], &[0x65, 6]],
        Codec::H265 => vec![
            &[70, 1, 16],
            &[64, 1, 1],
            &[66, 1, 2],
            &[68, 1, 3],
            &[78, 1, 1, 2, 3, 4, 0x80],
            &[39, 10, 5],
            &[2, 1, 6],
            &[80, 1, 132, 1, 9, 0x80],
        ],
    }
}

fn formats() -> impl Iterator<Item = Format> {
    [Codec::H264, Codec::H265].into_iter().flat_map(|codec| FRAMINGS.map(|framing| Format { codec, framing }))
}

#[test]
fn nal_units_are_told_apart() {
    for Format { codec, framing } in formats() {
        let nal_units = nal_units(codec);
        let unit = unit(framing, &nal_units);
        assert_eq!(contents(framing, &unit).unwrap(), nal_units);
        let ends: Vec<_> = nals(framing, &unit).map(|n| n.unwrap().whole).collect();
        assert!(ends.windows(2).all(|w| w[0].end == w[1].start) && ends.last().unwrap().end == unit.len());
    }
}

#[test]
fn start_codes_of_all_kinds() {
    let bytes = |unit: &[u8]| contents(Framing::ByteStream, unit);
    assert_eq!(bytes(&[]), Ok(vec![]));
    assert_eq!(bytes(&[0, 0, 1]), Ok(vec![vec![]]));
    assert_eq!(bytes(&[0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 1, 8, 0, 0]), Ok(vec![vec![9], vec![8]]));
    assert_eq!(bytes(&[0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 5]), Ok(vec![vec![], vec![], vec![5]]));
    assert_eq!(bytes(&[0, 0, 1, 1, 1, 0, 1, 0, 2, 0, 0, 3, 1, 0, 0, 1, 2]).unwrap()[1], [2]);
    for wrong in [&[0][..], &[0, 0], &[0, 0, 0], &[1], &[9, 0, 0, 1, 9], &[0, 0, 2, 0, 0, 1], &[0; 9]] {
        assert_eq!(bytes(wrong), Err(SeiError::NoStartCode), "{wrong:?}");
    }
}

#[test]
fn lengths_that_lie_are_errors() {
    for (size, unit) in [(4, &[0, 0, 0, 2, 9, 9, 255, 255, 255, 255, 1][..]), (2, &[0, 1, 9, 0, 2, 1]), (1, &[1, 9, 1])]
    {
        let found: Vec<_> = nals(Framing::Length(size), unit).collect();
        assert!(found[0].is_ok());
        let offset = found[0].as_ref().unwrap().whole.end;
        assert_eq!(found[1..], [Err(SeiError::Length { offset })]);
        assert_eq!(found.len(), 2);
    }
    for n in 1..4 {
        assert_eq!(contents(Framing::Length(4), &[0; 4][..n]), Err(SeiError::Length { offset: 0 }));
    }
    assert_eq!(contents(Framing::Length(2), &[0, 0, 0, 0]), Ok(vec![vec![], vec![]]));
}

#[test]
fn the_length_of_lengths_is_in_the_configuration() {
    let avcc = |b: u8| [1, 100, 0, 31, b, 225, 0];
    let hvcc = |b: u8| {
        let mut record = [0; 23];
        (record[0], record[21]) = (1, b);
        record
    };
    for (bits, size) in [(0, 1), (1, 2), (3, 4)] {
        let (h264, h265) = (avcc(252 | bits), hvcc(bits | 4));
        assert_eq!(Framing::from_configuration(Codec::H264, &h264), Ok(Framing::Length(size)));
        assert_eq!(Framing::from_configuration(Codec::H265, &h265), Ok(Framing::Length(size)));
        assert!(Framing::from_configuration(Codec::H264, &h264[..6]).is_err());
        assert!(Framing::from_configuration(Codec::H265, &h265[..22]).is_err());
    }
    assert_eq!(Framing::from_configuration(Codec::H264, &avcc(254)), Err(SeiError::Configuration));
    assert_eq!(Framing::from_configuration(Codec::H264, &[]), Err(SeiError::Configuration));
    assert_eq!(Framing::from_configuration(Codec::H264, &[0, 0, 0, 1, 255, 66, 0]), Err(SeiError::Configuration));
}

#[test]
fn no_start_code_survives_escaping_and_every_byte_comes_back() {
    // All strings of up to seven of the bytes that matter.
    for n in 0..8u32 {
        for i in 0..5usize.pow(n) {
            let bytes: Vec<u8> = (0..n).map(|digit| [0, 1, 2, 3, 4][i / 5usize.pow(digit) % 5]).collect();
            let mut escaped = vec![6];
            escape::append(&bytes, &mut escaped);
            escaped.push(message::TRAILING);
            assert!(!escaped.windows(3).any(|w| w[..2] == [0, 0] && w[2] < 3), "{bytes:?}");
            let read = escape::removed(&escaped);
            assert_eq!(read[1..read.len() - 1], bytes);
        }
    }
}

#[test]
fn sizes_of_messages_are_sums_of_bytes() {
    for (size, coded) in [(0, &[0][..]), (254, &[254]), (255, &[255, 0]), (256, &[255, 1]), (510, &[255, 255, 0])] {
        let message = message::write(300, &vec![1; size]);
        assert_eq!(message[..2], [255, 45]);
        assert_eq!(message[2..2 + coded.len()], *coded);
        assert_eq!(message.len(), 2 + coded.len() + size);
        let body = [&message[..], &message, &[message::TRAILING]].concat();
        let read: Vec<_> = message::messages(&body).map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert!(read.iter().all(|m| m.kind == 300 && m.payload.len() == size && m.raw == message));
    }
}

#[test]
fn messages_end_where_they_should() {
    let kinds = |body: &[u8]| message::messages(body).map(|m| m.map(|m| m.kind)).collect::<Vec<_>>();
    assert_eq!(kinds(&[1, 1, 9, 0x80]), [Ok(1)]);
    assert_eq!(kinds(&[1, 1, 9, 0x80, 0, 0]), [Ok(1)]);
    assert_eq!(kinds(&[1, 1, 9]), [Ok(1)], "without trailing bits");
    assert_eq!(kinds(&[1, 1, 0x80]), [Ok(1)], "a payload like trailing bits");
    assert_eq!(kinds(&[1, 1, 0x80, 0x80]), [Ok(1)]);
    assert_eq!(kinds(&[]), []);
    assert_eq!(kinds(&[0x80]), []);
    assert_eq!(kinds(&[1, 1, 9, 2, 7, 9, 0x80]), [Ok(1), Err(message::Malformed)]);
    assert_eq!(kinds(&[255; 9]), [Err(message::Malformed)]);
    assert_eq!(kinds(&[1, 255, 255, 255, 1, 0x80]), [Err(message::Malformed)]);
}

#[test]
fn payloads_go_before_the_picture_and_come_out_again() {
    for format in formats() {
        let nal_units = nal_units(format.codec);
        let before = unit(format.framing, &nal_units);
        let payloads = [payload(&[0, 0, 0, 0, 1]), payload(&[0; 90]), payload(&[])];
        let edit = insert(format, &before, &payloads).unwrap().unwrap();
        let after = apply(&before, std::slice::from_ref(&edit));

        let read = contents(format.framing, &after).unwrap();
        let picture = if format.codec == Codec::H264 { 4 } else { 5 };
        assert_eq!(read.len(), nal_units.len() + 3);
        assert_eq!(read[..picture], nal_units[..picture]);
        assert_eq!(read[picture + 3..], nal_units[picture..]);
        // In H.265 with layer id (6 bits, one of them in the first byte) and temporal id of the picture.
        let header: &[u8] = if format.codec == Codec::H264 { &[6, 5] } else { &[79, 10, 5] };
        assert!(read[picture..picture + 3].iter().all(|nal| nal.starts_with(header) && nal.ends_with(&[0x80])));

        assert_eq!(user_data(format, &before).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(user_data(format, &after).unwrap(), payloads);
        assert_eq!(apply(&after, &remove(format, &after, &UUID).unwrap()), before);
        assert_eq!(remove(format, &after, &[8; 16]), Ok(vec![]));
        assert_eq!(remove(format, &before, &UUID), Ok(vec![]));
    }
}

#[test]
fn without_a_picture_nothing_is_inserted() {
    for format in formats() {
        let headers = unit(format.framing, &nal_units(format.codec)[..4]);
        assert_eq!(insert(format, &headers, &[payload(&[])]), Ok(None));
        assert_eq!(insert(format, &[], &[payload(&[])]), Ok(None));
    }
}

#[test]
fn other_messages_in_the_same_nal_unit_stay() {
    let format = Format { codec: Codec::H264, framing: Framing::ByteStream };
    let user_data = |bytes: &[u8]| message::write(5, bytes);
    let foreign = [[3; 16].to_vec(), vec![1]].concat();
    let sei = |messages: &[Vec<u8>]| {
        let mut nal = vec![6];
        escape::append(&messages.concat(), &mut nal);
        [nal, vec![0x80]].concat()
    };
    let (other, ours) = (message::write(4, &[0, 0, 1]), user_data(&payload(&[1])));
    let mixed = sei(&[other.clone(), ours.clone(), user_data(&foreign)]);
    let au = unit(format.framing, &[&mixed, &[0x65, 1]]);
    assert_eq!(super::user_data(format, &au).unwrap(), [payload(&[1]), foreign.clone()]);
    let rest = apply(&au, &remove(format, &au, &UUID).unwrap());
    assert_eq!(rest, [&[0, 0, 0, 1][..], &sei(&[other, user_data(&foreign)]), &[0, 0, 1, 0x65, 1]].concat());
    // Behind something malformed nothing is read, and nothing is taken out.
    let broken = unit(format.framing, &[&[&[6, 1, 9], &ours[..], &[0x80]].concat(), &[0x65, 1]]);
    assert_eq!(super::user_data(format, &broken).unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(remove(format, &broken, &UUID), Ok(vec![]));
}

#[test]
fn what_becomes_first_gets_the_long_start_code() {
    let format = Format { codec: Codec::H264, framing: Framing::ByteStream };
    let ours = [&[6][..], &message::write(5, &payload(&[])), &[0x80]].concat();
    for n in 1..4 {
        let nal_units: Vec<&[u8]> = [&ours[..]].repeat(n).into_iter().chain([&[0x65, 1][..], &[0x65, 2]]).collect();
        let au = unit(format.framing, &nal_units);
        let rest = apply(&au, &remove(format, &au, &UUID).unwrap());
        assert!(rest.starts_with(&[0, 0, 0, 1, 0x65, 1, 0, 0]), "{n}: {rest:?}");
        assert_eq!(contents(format.framing, &rest).unwrap(), nal_units[n..]);
    }
}

#[test]
fn the_longest_payload_fits_whatever_its_bytes() {
    for codec in [Codec::H264, Codec::H265] {
        for size in [1, 2] {
            let format = Format { codec, framing: Framing::Length(size) };
            let au = unit(format.framing, &[&[2, 1, 1]]);
            let longest = format.framing.longest_payload();
            assert!(longest > 100);
            assert!(insert(format, &au, &[vec![0; longest]]).unwrap().is_some());
            let error = insert(format, &au, &[vec![0; 1 << (8 * size)]]).unwrap_err();
            assert!(matches!(error, SeiError::TooLong { .. }));
        }
    }
}

#[test]
fn no_damage_is_fatal() {
    for format in formats() {
        let au = unit(format.framing, &nal_units(format.codec));
        let edit = insert(format, &au, &[payload(&[0, 0, 0, 3])]).unwrap().unwrap();
        let au = apply(&au, &[edit]);
        let mut changed: Vec<Vec<u8>> = (0..au.len()).map(|n| au[..n].to_vec()).collect();
        for bit in 0..au.len() * 8 {
            changed.push(au.clone());
            changed.last_mut().unwrap()[bit / 8] ^= 1 << (bit % 8);
        }
        for au in changed {
            let _ = user_data(format, &au);
            if let Ok(edits) = remove(format, &au, &UUID) {
                let rest = apply(&au, &edits);
                assert!(user_data(format, &rest).unwrap().iter().all(|p| !p.starts_with(&UUID)) || edits.is_empty());
            }
            if let Ok(Some(edit)) = insert(format, &au, &[payload(&[1])]) {
                let after = apply(&au, &[edit]);
                assert!(
                    user_data(format, &after).is_err() || user_data(format, &after).unwrap().contains(&payload(&[1]))
                );
            }
        }
    }
}
