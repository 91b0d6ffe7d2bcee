//! Networks that make no sense: whatever an ONNX file says, loading it and looking at a picture ends with people or an
//! error. The changes are those of fuzzing (`make fuzz`), drawn by chance but always the same.

#[path = "../fuzz/networks.rs"]
mod networks;

/// Where the small networks are.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

#[test]
fn changed_networks_end_with_people_or_an_error() {
    // More, and from another number on, for who looks for faults.
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (first, count) = (number("FIRST", 0), number("COUNT", 300));
    let (mut people, mut errors) = (0, 0);
    for seed in first..first + count {
        let mut state = seed;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        // Of one of the six files as many changes as the seed says.
        let mut data = vec![(seed % 6) as u8];
        data.extend((0..6 * (seed / 6 % 4)).map(|_| byte()));
        if std::env::var_os("FIRST").is_some() {
            println!("{seed}: {data:?}");
        }
        match networks::looked_at(&data) {
            Ok(_) => people += 1,
            Err(error) => {
                assert!(error.to_string().contains(".onnx"), "{error} does not say which file");
                errors += 1;
            }
        }
    }
    assert!(people > 0 && errors > 0, "{people} networks ran, {errors} did not");
}

/// Of the trunk, with pictures added that differ in size: found by chance, it took for ever.
#[test]
fn lengths_that_do_not_fit_are_an_error() {
    let data = [0, 156, 2, 116, 246, 240, 191, 138, 138, 58, 235, 171, 30, 191, 188, 31, 126, 205, 183];
    assert!(networks::looked_at(&data).is_err());
}

#[test]
fn files_that_are_no_networks_are_errors() {
    for seed in networks::seeds().iter().filter(|(name, _)| name.ends_with("-raw")) {
        let (name, bytes) = seed;
        assert!(networks::looked_at(bytes).is_ok(), "{name} as it is");
        for length in [1, 2, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(networks::looked_at(&bytes[..length]).is_err(), "{length} bytes of {name}");
        }
    }
}

/// Of the trunk, which puts out several pictures for one.
#[test]
fn more_items_out_than_in_are_an_error() {
    let data = [255, 255, 1, 47, 99, 255, 37, 14, 255, 111, 110, 118, 95, 51, 52, 255, 172, 46, 39];
    let problem = networks::looked_at(&data).unwrap_err().to_string();
    assert!(problem.contains("puts out") && problem.contains("expected is (1, "), "{problem}");
}
