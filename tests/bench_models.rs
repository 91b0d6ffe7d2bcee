//! The deployment bench, `examples/bench_models`, as its users start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gstdensepose::estimator::Stage;
use serde_json::Value;

#[path = "../examples/bench_models/stages.rs"]
mod stages;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Runs the bench; cargo knows where it is and that it is up to date.
fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--release", "--example", "bench_models", "--"]);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn two_models_are_measured_and_not_again() {
    let folder = tempfile::tempdir().unwrap();
    let [json, markdown, records] = ["report.json", "report.md", "records.jsonl"].map(|name| folder.path().join(name));
    let models = ["tiny", "tiny-int8"].map(|name| fixture(name).display().to_string());
    let files = [&json, &markdown, &records].map(|path| path.display().to_string());
    let arguments =
        [&*models[0], &models[1], "--quick", "--json", &files[0], "--markdown", &files[1], "--records", &files[2]];
    let first = bench(&arguments);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&first.stderr).contains("4/4: tiny-int8, short side 96, round 1"), "{}", text(&first.stderr));
    let table = std::fs::read_to_string(&markdown).unwrap();
    assert_eq!(text(&first.stdout), table);
    // Stages and memory, sizes, people, memory by size.
    assert_eq!(table.lines().filter(|line| line.starts_with("| tiny-int8 |")).count(), 4, "{table}");

    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    let models = report["models"].as_array().unwrap();
    assert_eq!([&models[0]["name"], &models[1]["name"]], ["tiny", "tiny-int8"]);
    assert!(models[0]["disk_bytes"].as_u64() > models[1]["disk_bytes"].as_u64());
    assert_eq!(models[0]["parameters"], 45136);
    for model in models {
        let sizes = model["sizes"].as_array().unwrap();
        assert_eq!([&sizes[0]["short_side"], &sizes[1]["short_side"]], [64, 96]);
        assert_eq!(sizes[1]["network"], serde_json::json!([171, 96]));
        for (size, people) in sizes.iter().zip([1, 2]) {
            let frames = size["people"].as_array().unwrap();
            assert_eq!(frames.len(), people);
            assert!(size["load_ms"].as_f64().unwrap() > 0.0 && size["peak_bytes"].as_u64().unwrap() > 1_000_000);
            for frame in frames {
                let of = |key: &str| frame[key].as_f64().unwrap_or_else(|| panic!("{key} in {frame}"));
                let stages: f64 =
                    ["trunk", "proposals", "box_head", "densepose_head", "rest"].into_iter().map(of).sum();
                assert!(of("trunk") > 0.0 && of("densepose_head") > 0.0 && stages >= of("whole") - 1e-6, "{frame}");
            }
        }
    }

    let known = std::fs::read_to_string(&records).unwrap();
    assert_eq!(known.lines().count(), 4);
    let again = bench(&arguments);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(std::fs::read_to_string(&records).unwrap(), known, "everything was measured already");
    // A measurement that was cut off is made again.
    std::fs::write(&records, &known[..known.len() - 20]).unwrap();
    assert!(bench(&arguments).status.success());
    assert_eq!(std::fs::read_to_string(&records).unwrap().lines().count(), 5);
}

#[test]
fn bad_input_is_explained() {
    let tiny = fixture("tiny").display().to_string();
    for (arguments, expected) in [
        (&[][..], "which models?"),
        (&["no/such/model"], "cannot read no/such/model/model.json"),
        (&[&tiny, "--sizes", "256,5"], "--sizes takes 32 to 2048, not 5"),
        (&[&tiny, "--people", "0"], "--people takes 1 to 8, not 0"),
        (&[&tiny, "--rounds", "many"], "--rounds wants a number, not \"many\""),
        (&[&tiny, "--rounds"], "--rounds needs a value"),
        (&[&tiny, "--fast"], "unknown option --fast"),
        (&[&tiny, "--quick", "--json", "/no/such/folder/report.json"], "/no/such/folder/report.json"),
    ] {
        let output = bench(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}

/// However many threads and people there are: the estimator measures time that passes.
#[test]
fn the_times_of_stages_add_up_to_the_frame() {
    let of = |stage| match stage {
        Stage::Trunk => 60.0,
        Stage::Proposals => 2.0,
        Stage::BoxPooling => 3.0,
        Stage::BoxHead => 20.0,
        Stage::DensePosePooling => 1.0,
        Stage::DensePoseHead => 8.0,
        _ => 2.0,
    };
    assert_eq!(stages::split(100.0, of), [60.0, 2.0, 23.0, 9.0, 6.0]);
}

/// The real estimator's times, on one thread and on two.
#[test]
fn no_stage_is_counted_for_less_than_it_takes() {
    use gstdensepose::estimator::{Estimator, Model, Options};
    use gstdensepose::image::Image;

    let pixels = vec![99; 320 * 240 * 3];
    for threads in [1, 2] {
        let options = Options { threads, ..Options::default() };
        let mut estimator = Estimator::new(&Model::open(fixture("tiny")).unwrap(), options).unwrap();
        for _ in 0..2 {
            let start = std::time::Instant::now();
            estimator.estimate(&Image::rgb(320, 240, &pixels).unwrap()).unwrap();
            let whole = start.elapsed().as_secs_f64() * 1e3;
            let all: f64 = Stage::ALL.iter().map(|&stage| estimator.timings().of(stage).as_secs_f64() * 1e3).sum();
            assert!(all <= whole, "stages take {all} ms of {whole} ms on {threads} threads");
        }
    }
}
