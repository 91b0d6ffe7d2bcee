//! The bench of networks, `examples/bench_network`, as programs that compare use it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

fn bench(arguments: &[&str], requests: &str) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--release", "--example", "bench_network", "--"]).args(arguments);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cargo runs");
    child.stdin.take().unwrap().write_all(requests.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_request_has_an_answer() {
    let tiny = "tests/fixtures/tiny";
    let timed = ["trunk 1 64 96", "trunk 1 64 96", "box_head 2 5", "densepose_head 2 6", "frame 2 160 120 64 3"];
    let failing = [
        (format!("trunk 1 60 96 {tiny}"), ""),
        ("trunk 1 64 96 no/such model".into(), "cannot read no/such model/model.json"),
        ("trunk 1 64 96".into(), "trunk wants a MODEL"),
        (format!("box_head 0 5 {tiny}"), "box_head wants a number for THREADS, 1 to 16384, not \"0\""),
        ("dance 1".into(), "unknown request dance"),
    ];
    let mut requests: Vec<String> = timed.iter().map(|request| format!("{request} {tiny}")).collect();
    requests.extend(failing.iter().map(|(request, _)| request.clone()));
    requests.extend([format!("profile 1 64 96 {tiny}"), "peak 1".into()]);
    let (success, out, complaints) = bench(&[], &(requests.join("\n") + "\n"));
    assert!(success, "{complaints}");
    let answers: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), requests.len(), "{out}");
    for (answer, request) in answers.iter().zip(&timed) {
        assert!(answer["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{request}: {answer}");
    }
    for (answer, (request, cause)) in answers[timed.len()..].iter().zip(&failing) {
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(cause)), "{request}: {answer}");
    }
    let [.., profile, peak] = &answers[..] else { panic!("{out}") };
    let layers = profile["layers"].as_array().unwrap();
    assert!(layers.iter().any(|layer| layer["kind"] == "InvertedBottleneck"), "{profile}");
    let sum: f64 = layers.iter().map(|layer| layer["ms"].as_f64().unwrap()).sum();
    assert!(sum > 0.0 && profile["ms"].as_f64().unwrap() > 0.0);
    assert!(peak["gflops"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_request_on_the_command_line_is_answered_in_words() {
    let (success, out, complaints) = bench(&["profile", "1", "64", "96", "tests/fixtures/tiny"], "");
    assert!(success && out.contains("SeparableConvolution") && out.ends_with(" ms\n"), "{out} {complaints}");
    let (success, _, complaints) = bench(&["trunk", "1"], "");
    assert!(!success && complaints.contains("trunk wants a number for HEIGHT"), "{complaints}");
}
