//! What other people's programs start from: the C header, the Python module and its scripts, the Rust example.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine;
use common::{command, output, root};
use gst::prelude::*;
use gstdensepose::meta;
use gstdensepose::person::{Person, Persons};

const PYTHON: &str = "/usr/bin/python3";

fn tiny_picture() -> String {
    common::tiny_model().join("picture.png").display().to_string()
}

/// The element's properties by which every program here finds people in the tiny picture.
fn tiny_properties() -> String {
    format!("model={} score-threshold=0.05 threads=1", common::tiny_model().display())
}

/// What they must find: what the element finds.
fn found() -> Persons {
    let mut harness = gst_check::Harness::with_element(&common::element(), Some("sink"), Some("src"));
    let (caps, frame) = common::tiny_frame("RGB");
    harness.set_src_caps(caps);
    let people = meta::read(&harness.push_and_pull(frame).unwrap()).unwrap();
    assert!(people.persons.len() > 1);
    people
}

/// One of the Python scripts, with the tiny network.
fn script(name: &str, arguments: &[&str]) -> (Command, tempfile::TempDir) {
    let (mut python, plugins) = command(PYTHON);
    python.arg(format!("examples/python/{name}")).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    python.args(["--densepose", &tiny_properties()]);
    (python, plugins)
}

/// Python code, with the module at hand.
fn python(code: &str) -> (Command, tempfile::TempDir) {
    let (mut python, plugins) = command(PYTHON);
    python.args(["-c", code]).env("PYTHONPATH", root().join("examples/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    (python, plugins)
}

/// The words of a program that must fail.
fn complaint(mut command: Command) -> String {
    let result = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(!result.status.success(), "{command:?} succeeded");
    assert!(!text.contains("Traceback"), "{command:?}: {text}");
    text
}

/// `make TARGET PREFIX=...`
fn make(target: &str, prefix: &Path) {
    let mut make = Command::new("make");
    make.current_dir(root()).args(["-s", target, &format!("PREFIX={}", prefix.display())]);
    // Not what a user may have set, nor what a make around this test hands down.
    for name in ["INCLUDEDIR", "PKGCONFIGDIR", "DESTDIR", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        make.env_remove(name);
    }
    output(make);
}

fn pkg_config(prefix: &Path, arguments: &[&str]) -> String {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(arguments).arg("gst-densepose-1.0").env("PKG_CONFIG_PATH", prefix.join("pkgconfig"));
    output(pkg_config).trim().to_owned()
}

#[test]
fn c_programs_read_people_through_the_header() {
    let prefix = tempfile::tempdir().unwrap();
    make("install-header", prefix.path());
    let flags = pkg_config(prefix.path(), &["--cflags", "--libs"]);
    assert_eq!(pkg_config(prefix.path(), &["--variable=pluginsdir"]), prefix.path().display().to_string());
    assert_eq!(pkg_config(prefix.path(), &["--modversion"]), env!("CARGO_PKG_VERSION"));

    let compilers: [&[&str]; 3] = [&["cc"], &["cc", "-std=c99"], &["g++", "-x", "c++"]];
    for compiler in compilers {
        if compiler[0] == "g++" && Command::new("g++").arg("--version").output().is_err() {
            eprintln!("there is no g++: the header was tried as C only");
            continue;
        }
        let program = prefix.path().join("people");
        let mut compile = Command::new(compiler[0]);
        compile.args(&compiler[1..]).args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
        output({
            compile.arg(root().join("examples/c/people.c")).args(flags.split_whitespace());
            compile
        });
        let (mut people, _plugins) = command(program.to_str().unwrap());
        people.arg(format!("filesrc location={} ! pngdec ! densepose {}", tiny_picture(), tiny_properties()));
        assert_eq!(output(people), as_c_prints(&found()));
    }

    let (mut nobody, _plugins) = command(prefix.path().join("people").to_str().unwrap());
    nobody.arg("videotestsrc num-buffers=1");
    assert_eq!(output(nobody), "no people attached\n", "also while the plugin is not loaded");

    make("uninstall", prefix.path());
    for file in ["pkgconfig/gst-densepose-1.0.pc", "include/gst/densepose"] {
        assert!(!prefix.path().join(file).exists(), "{file} is still there");
    }
}

fn as_c_prints(people: &Persons) -> String {
    let Persons { width, height, age, persons, .. } = people;
    let mut text = format!("frame {width}x{height}, age {age}: {} people\n", persons.len());
    for person in persons {
        let Person { id, score, x, y, iuv } = person;
        text += &format!(" person {id}: score {score:.3}, box {x},{y} {}x{}\n", iuv.width(), iuv.height());
        for (part, name) in part_names().iter().enumerate().skip(1) {
            let pixels = iuv.data().chunks_exact(3).filter(|pixel| usize::from(pixel[0]) == part).count();
            if pixels > 0 {
                text += &format!("  person {id}: {name}, {pixels} pixels\n");
            }
        }
    }
    text
}

/// The names of the parts as Python knows them.
fn part_names() -> Vec<String> {
    let (python, _plugins) = python("import densepose; print('\\n'.join(densepose.PARTS))");
    let names: Vec<String> = output(python).lines().map(str::to_owned).collect();
    assert_eq!(names.len(), usize::from(gstdensepose::person::PARTS) + 1);
    names
}

#[test]
fn python_prints_people() {
    let (script, _plugins) = script("read_live.py", &[&tiny_picture()]);
    let text = output(script);
    let lines: Vec<_> = text.lines().map(|line| line.trim_start().split(", ").take(2).collect::<Vec<_>>()).collect();
    let expected: Vec<_> = found()
        .persons
        .iter()
        .map(|Person { id, score, x, y, iuv }| {
            let person = format!("0.000 person {id}: score {score:.2}");
            [person, format!("{}x{} at {x},{y}", iuv.width(), iuv.height())]
        })
        .collect();
    assert_eq!(lines, expected);
}

/// `run`, `read` and `label_map`, printed as plain numbers.
const READ: &str = "
import sys
import densepose
for pts, image, frame in densepose.run(sys.argv[1]):
    print(pts, image.shape, frame.width, frame.height, frame.age)
    print(sum(image.tobytes()), [(p.id, p.x, p.y, p.iuv.shape, sum(p.iuv.tobytes())) for p in frame.persons])
    try:
        labels = densepose.label_map(frame)
        print(labels.shape, int(labels.sum()))
    except densepose.Error as error:
        print(error)
";

#[test]
fn python_has_pictures_and_maps_with_and_without_numpy() {
    let people = found();
    let (width, height, rgb) = common::tiny_picture();
    let sum = |bytes: &[u8]| bytes.iter().map(|&b| u64::from(b)).sum::<u64>();
    let persons: Vec<String> = people
        .persons
        .iter()
        .map(|Person { id, x, y, iuv, .. }| {
            format!("({id}, {x}, {y}, ({}, {}, 3), {})", iuv.height(), iuv.width(), sum(iuv.data()))
        })
        .collect();
    // The estimator's list begins with the best, and that one is to be seen.
    let mut labels = vec![0u8; width * height];
    for person in people.persons.iter().rev() {
        for (i, pixel) in person.iuv.data().chunks_exact(3).enumerate().filter(|(_, pixel)| pixel[0] > 0) {
            let (x, y) = (person.x as usize + i % person.width(), person.y as usize + i / person.width());
            labels[y * width + x] = pixel[0];
        }
    }
    let common = format!("0 ({height}, {width}, 3) {width} {height} 0\n{} [{}]\n", sum(&rgb), persons.join(", "));
    let pipeline = format!("filesrc location={} ! pngdec ! densepose {}", tiny_picture(), tiny_properties());
    for (before, expected) in [
        ("", format!("({height}, {width}) {}\n", sum(&labels))),
        ("import sys; sys.modules['numpy'] = None\n", "label_map() needs numpy: install python3-numpy\n".to_owned()),
    ] {
        let (mut python, _plugins) = python(&format!("{before}{READ}"));
        python.arg(&pipeline);
        assert_eq!(output(python), common.clone() + &expected);
    }
}

#[test]
fn coco_results_hold_what_was_found() {
    let out = tempfile::tempdir().unwrap();
    let picture = out.path().join("COCO_val2014_000000000042.png");
    std::fs::copy(tiny_picture(), &picture).unwrap();
    let json = out.path().join("results.json");
    let (script, _plugins) = script("write_coco.py", &[picture.to_str().unwrap(), "--output", json.to_str().unwrap()]);
    output(script);
    let results: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let people = found();
    assert_eq!(results.len(), people.persons.len());
    for (result, person) in results.iter().zip(&people.persons) {
        let (w, h) = (person.width(), person.height());
        assert_eq!((&result["image_id"], &result["category_id"]), (&42.into(), &1.into()));
        assert_eq!(result["bbox"], serde_json::json!([person.x, person.y, w, h]));
        assert!((result["score"].as_f64().unwrap() - f64::from(person.score)).abs() < 1e-6);
        let densepose = &result["densepose"];
        assert_eq!(densepose["shape_chw"], serde_json::json!([3, h, w]));
        let png =
            base64::engine::general_purpose::STANDARD.decode(densepose["labels_uv_str"].as_str().unwrap()).unwrap();
        let iuv = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!((iuv.width() as usize, iuv.height() as usize), (w, h));
        assert_eq!(iuv.as_raw(), person.iuv.data());

        let segmentation = &result["segmentation"];
        assert_eq!(segmentation["size"], serde_json::json!([people.height, people.width]));
        let mask = coco_mask(segmentation["counts"].as_str().unwrap());
        assert_eq!(mask.len(), people.height as usize * people.width as usize);
        for (i, &inside) in mask.iter().enumerate() {
            let (x, y) = (i / people.height as usize, i % people.height as usize);
            let (x, y) = (x.wrapping_sub(person.x as usize), y.wrapping_sub(person.y as usize));
            assert_eq!(inside, x < w && y < h && person.iuv.pixel(x, y)[0] > 0);
        }
    }
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 2, "nothing is left lying about");
}

/// Columns of a mask from COCO's compressed run lengths.
fn coco_mask(counts: &str) -> Vec<bool> {
    let (mut runs, mut bytes) = (Vec::<i64>::new(), counts.bytes());
    while let Some(first) = bytes.next() {
        let (mut byte, mut number, mut shift) = (first - 48, 0, 0);
        loop {
            number |= i64::from(byte & 31) << shift;
            shift += 5;
            if byte & 32 == 0 {
                break;
            }
            byte = bytes.next().unwrap() - 48;
        }
        if byte & 16 != 0 {
            number -= 1 << shift;
        }
        if runs.len() > 2 {
            number += runs[runs.len() - 2];
        }
        runs.push(number);
    }
    runs.iter().enumerate().flat_map(|(i, &run)| vec![i % 2 == 1; usize::try_from(run).unwrap()]).collect()
}

#[test]
fn opencv_draws_pictures_and_videos() {
    let out = tempfile::tempdir().unwrap();
    let png = out.path().join("drawn.png");
    let (picture_script, _plugins) = script("draw_opencv.py", &[&tiny_picture(), "--output", png.to_str().unwrap()]);
    output(picture_script);
    let drawn = image::open(&png).unwrap().to_rgb8();
    let (width, height, rgb) = common::tiny_picture();
    assert_eq!((drawn.width() as usize, drawn.height() as usize), (width, height));
    // A pixel of the best person that no box or text covers, in Parula's colour for its part.
    let best = &found().persons[0];
    let middle = (best.width() / 2, best.height() / 2);
    let inside = (8..best.height()).flat_map(|y| (8..best.width()).map(move |x| (x, y)));
    let shown = inside.filter(|&(x, y)| y > 24 && best.iuv.pixel(x, y)[0] > 0);
    let (x, y) = shown.min_by_key(|&(x, y)| x.abs_diff(middle.0) + y.abs_diff(middle.1)).unwrap();
    let part = best.iuv.pixel(x, y)[0];
    let at = (best.y as usize + y) * width + best.x as usize + x;
    let ink = gstdensepose::render::Palette::Parula.part(part);
    for c in 0..3 {
        let expected = 0.7 * f32::from(ink[c]) + 0.3 * f32::from(rgb[at * 3 + c]);
        let got = f32::from(drawn.as_raw()[at * 3 + c]);
        assert!((expected - got).abs() <= 2.0, "part {part}, component {c}: {got}, not {expected}");
    }

    let (clip, mp4) = (short_clip(out.path()), out.path().join("drawn.mp4"));
    let (video_script, _plugins) = script("draw_opencv.py", &[&clip, "--output", mp4.to_str().unwrap()]);
    output(video_script);
    // As long as the clip, at 25 frames per second.
    let size = watch(&format!("filesrc location={} ! decodebin ! videoconvert", mp4.display()), 25);
    assert_eq!(size, (160, 120));
}

/// A second of the tiny picture, 15 frames.
fn short_clip(folder: &Path) -> String {
    common::init();
    let clip = folder.join("clip.mp4").display().to_string();
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! pngdec ! imagefreeze num-buffers=15 ! videoscale ! videoconvert \
         ! video/x-raw,format=I420,width=160,height=120,framerate=15/1 ! x264enc ! mp4mux ! filesink location={clip}",
        tiny_picture()
    ));
    let pipeline = pipeline.unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(120), &end).unwrap();
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    clip
}

#[test]
fn scripts_say_what_is_wrong_and_what_to_do() {
    let picture = tiny_picture();
    for (name, arguments, expected) in [
        ("read_live.py", &["/dev/video99"][..], "there is no camera '/dev/video99'"),
        ("read_live.py", &["no such file.mp4"], "there is no file 'no such file.mp4'"),
        ("read_live.py", &["README.md"], "text file"),
        ("write_coco.py", &[&picture], "--output"),
        ("write_coco.py", &[&picture, "--output", "/no/such/folder/out.json"], "/no/such/folder/out.json"),
        ("draw_opencv.py", &[&picture, "--output", "out.txt"], ".png"),
        ("draw_opencv.py", &[&picture, "--output", "/no/such/folder/out.png"], "is its folder there"),
        ("draw_opencv.py", &[&picture], "--output"),
        ("rtsp_server.py", &["README.md"], "text file"),
    ] {
        let (mut script, _plugins) = script(name, arguments);
        script.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        let text = complaint(script);
        assert!(text.contains(expected), "{name} {arguments:?}: {text}");
    }

    let (mut unfound, _plugins) = script("read_live.py", &[&picture]);
    let empty = tempfile::tempdir().unwrap();
    unfound.env("GST_PLUGIN_PATH", empty.path()).env("XDG_DATA_HOME", empty.path()).env("HOME", empty.path());
    let text = complaint(unfound);
    assert!(text.contains("'densepose'") && text.contains("GST_PLUGIN_PATH"), "{text}");

    for (module, remedy) in [("cv2", "python3-opencv"), ("numpy", "python3-numpy")] {
        let name = if module == "cv2" { "draw_opencv" } else { "write_coco" };
        let code = format!("import sys; sys.modules['{module}'] = None; import {name}");
        let (mut python, _plugins) = python(&code);
        python.args([&picture, "--output", "out.png"]);
        let text = complaint(python);
        assert!(text.contains(remedy), "{text}");
    }
}

#[test]
fn every_script_explains_itself() {
    for name in ["read_live.py", "draw_opencv.py", "write_coco.py", "rtsp_server.py"] {
        let (mut script, _plugins) = script(name, &["--help"]);
        script.env("GST_PLUGIN_PATH", "");
        let text = output(script);
        assert!(text.contains("INPUT") && text.contains("--densepose") && text.contains("Example"), "{text}");
    }
}

#[test]
fn the_rust_example_prints_people() {
    // `cargo test` builds examples before it runs tests, but for `--test NAME`.
    let example = std::env::current_exe().unwrap().with_file_name("../examples/embed");
    assert!(example.exists(), "build it first: cargo build --release --example embed");
    let (mut embed, _plugins) = command(example.to_str().unwrap());
    embed.args([&tiny_picture(), "--densepose", &tiny_properties()]).env_remove("GST_PLUGIN_PATH");
    let text = output(embed);
    let expected: Vec<String> = found()
        .persons
        .iter()
        .map(|Person { id, score, x, y, iuv }| {
            format!("0.000 person {id}: score {score:.3}, {}x{} at {x},{y}, head ", iuv.width(), iuv.height())
        })
        .collect();
    assert_eq!(text.lines().count(), expected.len(), "{text}");
    assert!(text.lines().zip(&expected).all(|(line, start)| line.starts_with(start)), "{text}\n{expected:?}");

    let (mut nothing, _plugins) = command(example.to_str().unwrap());
    nothing.arg("no such file.mp4");
    assert!(complaint(nothing).contains("no such file.mp4"));
}

/// Interrupts a program as Ctrl-C does; it must end well.
fn interrupt(mut child: Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn stats_are_served_to_prometheus() {
    use std::io::{Read, Write};
    let pipeline = format!(
        "videotestsrc is-live=true ! video/x-raw,width=64,height=64 ! densepose name=d model={} threads=1 ! fakesink",
        common::tiny_model().display()
    );
    let (mut python, _plugins) = command(PYTHON);
    python.args(["examples/python/metrics.py", "--port", "0", &pipeline]);
    let (child, line, _output) = spawn(python, "http://");
    let address = line.trim().trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    for field in ["frames_total", "inferences_total", "skipped_late_total", "persons", "frames_per_second"] {
        let line = format!("densepose_{field}{{element=\"d\"}} ");
        let value = text.lines().find_map(|l| l.strip_prefix(&line)).unwrap_or_else(|| panic!("{field}: {text}"));
        assert!(value.parse::<f64>().is_ok_and(|v| v >= 0.0), "{field}: {value}");
    }
    interrupt(child);
}

/// Starts a program and waits for a line of its output that contains something; its output stays open with the reader.
fn spawn(mut command: Command, awaited: &str) -> (Child, String, BufReader<ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(awaited) {
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            panic!("{command:?} ended without '{awaited}': {:?}", child.wait());
        }
    }
    (child, line, reader)
}

#[test]
fn the_rtsp_server_serves_a_file_over_and_over() {
    let folder = tempfile::tempdir().unwrap();
    let clip = short_clip(folder.path());
    let (server, _plugins) = script("rtsp_server.py", &[&clip, "--port", "0", "--overlay", "boxes=true"]);
    let (server, line, _server_output) = spawn(server, "rtsp://");
    let address = line.split_whitespace().find(|word| word.starts_with("rtsp://")).unwrap().trim_end_matches(',');

    // More frames than the clip has.
    let client = format!("rtspsrc location={address} latency=0 protocols=tcp ! rtph264depay ! avdec_h264");
    assert_eq!(watch(&client, 20), (160, 120));

    // Another viewer, after the first has gone: a script as client, ended by Ctrl-C.
    let (reader, _plugins) = script("read_live.py", &[address]);
    let (reader, _line, _reader_output) = spawn(reader, "person ");
    interrupt(reader);
    interrupt(server);
}

/// Waits for so many pictures from a pipeline; their size.
fn watch(description: &str, frames: usize) -> (i32, i32) {
    let pipeline = gst::parse::launch(&format!("{description} ! appsink name=out sync=false")).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut size = (0, 0);
    for i in 0..frames {
        let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(120)) else {
            panic!("no frame {i}: {:?}", common::texts(&pipeline.bus().unwrap(), gst::MessageType::Error));
        };
        let caps = sample.caps().unwrap().structure(0).unwrap();
        size = (caps.get("width").unwrap(), caps.get("height").unwrap());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    size
}

#[test]
fn the_page_links_to_what_is_there() {
    let page = std::fs::read_to_string(root().join("docs/apps.md")).unwrap();
    let links: Vec<&str> = page.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let local: Vec<&&str> = links.iter().filter(|link| !link.contains("://")).collect();
    assert!(local.len() >= 6, "{links:?}");
    for link in local {
        assert!(root().join("docs").join(link).exists(), "{link}");
    }
}
