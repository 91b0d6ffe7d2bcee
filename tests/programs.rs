//! The plugin as a library file, in the hands of GStreamer's own programs, and the README's word on it.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use gst::prelude::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that finds the plugin, with a registry of its own; it is stopped should it hang.
fn command(program: &str) -> (Command, tempfile::TempDir) {
    // Cargo builds the library for this test beside the test program.
    let built = std::env::current_exe().unwrap().with_file_name("libgstdensepose.so");
    let plugins = tempfile::tempdir().unwrap();
    std::fs::copy(&built, plugins.path().join("libgstdensepose.so")).unwrap_or_else(|e| panic!("{built:?}: {e}"));
    let mut command = Command::new("timeout");
    command
        .args(["600", program])
        .current_dir(root())
        .env("GST_PLUGIN_PATH", plugins.path())
        .env("GST_REGISTRY", plugins.path().join("registry.bin"))
        .env("G_DEBUG", "fatal_warnings");
    (command, plugins)
}

/// Runs to the end; its output, both streams.
fn output(mut command: Command) -> String {
    let result = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&result.stdout).into_owned() + &String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{command:?} failed:\n{text}");
    text
}

#[test]
fn gst_inspect_knows_both_elements() {
    for (element, expected) in [("densepose", "score-threshold"), ("densepose-overlay", "palette")] {
        let (mut inspect, _plugins) = command("gst-inspect-1.0");
        inspect.arg(element);
        let text = output(inspect);
        assert!(text.contains(expected) && text.contains("UYVY"), "{text}");
    }
}

#[test]
fn nothing_leaks() {
    let model = common::tiny_model();
    let picture = model.join("picture.png");
    let (mut launch, _plugins) = command("gst-launch-1.0");
    launch.env("GST_TRACERS", "leaks").env("GST_DEBUG", "GST_TRACER:7").env("GST_DEBUG_NO_COLOR", "1");
    let pipeline = format!(
        "filesrc location={} ! pngdec ! imagefreeze num-buffers=10 ! videoconvert ! video/x-raw,format=I420 \
         ! densepose model={} score-threshold=0.05 interval=2 ! tee name=t t. ! queue ! densepose-overlay labels=true boxes=true ! fakesink \
         t. ! queue ! videoscale ! video/x-raw,width=50 ! densepose-overlay ! fakesink",
        picture.display(),
        model.display()
    );
    launch.args(pipeline.split_whitespace());
    let text = output(launch);
    assert!(text.contains("object-alive"), "the tracer describes its records: {text}");
    let leaks: Vec<_> =
        text.lines().filter(|l| l.contains("object-alive, ") && !l.contains("new format string")).collect();
    assert_eq!(leaks, Vec::<&str>::new());
}

/// `scripts/demo.sh`, on the library that cargo built for this test.
fn demo(input: &str, output: &Path) -> (Command, tempfile::TempDir) {
    let (mut demo, target) = command("scripts/demo.sh");
    let library = target.path().join("release/libgstdensepose.so");
    std::fs::create_dir(library.parent().unwrap()).unwrap();
    std::fs::rename(target.path().join("libgstdensepose.so"), library).unwrap();
    let model = format!("model={} interval=5", common::tiny_model().display());
    demo.arg(input).arg(output).env("CARGO_TARGET_DIR", target.path()).env("DENSEPOSE", model);
    demo.env("OVERLAY", "style=contour canvas=gray");
    (demo, target)
}

#[test]
fn the_demo_writes_a_video_and_a_picture() {
    let out = tempfile::tempdir().unwrap();
    let video = out.path().join("a video.mp4");
    let (demo, _target) = demo("", &video);
    let text = output(demo);
    assert!(text.contains("a video.mp4"), "{text}");
    assert!(std::fs::metadata(&video).unwrap().len() > 50_000);
    let picture = image::open(video.with_extension("png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (640, 360));
}

#[test]
fn the_demo_says_what_is_wrong_with_its_input() {
    let out = tempfile::tempdir().unwrap();
    for (input, expected) in [("no such file.mp4", "no such file.mp4"), ("README.md", "failed")] {
        let (mut demo, _target) = demo(input, &out.path().join("out.mp4"));
        let result = demo.output().unwrap();
        let text = String::from_utf8_lossy(&result.stderr).into_owned();
        assert!(!result.status.success() && text.contains(expected), "{input}: {text}");
    }
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn the_readmes_python_reads_people() {
    let (mut python, _plugins) = command("/usr/bin/python3");
    python.arg("-c").arg(blocks(&readme(), "python").concat());
    let text = output(python);
    let people: Vec<_> = text.lines().filter(|l| l.contains("parts: [0, ")).collect();
    assert!(!people.is_empty(), "no person read:\n{text}");
}

#[test]
fn the_readmes_pipelines_parse() {
    common::init();
    let lines: Vec<String> = blocks(&readme(), "sh").concat().lines().map(str::to_owned).collect();
    let pipelines: Vec<_> = lines.iter().filter_map(|l| l.strip_prefix("gst-launch-1.0 ")).collect();
    assert!(pipelines.len() >= 5, "{lines:?}");
    for pipeline in pipelines {
        let parsed = gst::parse::launch(pipeline);
        assert!(parsed.is_ok(), "{pipeline}: {parsed:?}");
    }
}

/// `name -> (type, default)` of the rows of the table below a heading.
fn table(text: &str, heading: &str) -> BTreeMap<String, (String, String)> {
    let section = text.split(&format!("### {heading}\n")).nth(1).expect(heading);
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|l| l.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(|c| c.trim().trim_matches('`').to_owned()).collect();
        (cells[1].clone(), (cells[2].clone(), cells[3].clone()))
    })
    .collect()
}

#[test]
fn the_readmes_property_tables_are_true() {
    common::init();
    for name in ["densepose", "densepose-overlay"] {
        let element = gst::ElementFactory::make(name).build().unwrap();
        let own = |p: &&glib::ParamSpec| p.owner_type() == element.type_();
        let code: BTreeMap<_, _> = element.list_properties().iter().filter(own).map(described).collect();
        assert_eq!(table(&readme(), name), code, "README.md, properties of {name}");
    }
}

fn described(p: &glib::ParamSpec) -> (String, (String, String)) {
    let default = p.default_value();
    let (kind, default) = if let Ok(v) = default.get::<Option<String>>() {
        ("string", v.unwrap_or_else(|| "unset".into()))
    } else if let Ok(v) = default.get::<u32>() {
        ("uint", v.to_string())
    } else if let Ok(v) = default.get::<f64>() {
        ("double", v.to_string())
    } else if let Ok(v) = default.get::<bool>() {
        ("boolean", v.to_string())
    } else if let Some((_, v)) = glib::EnumValue::from_value(default) {
        ("enum", v.nick().to_string())
    } else {
        panic!("{} has a type that the README has no word for", p.name())
    };
    (p.name().to_string(), (kind.to_string(), default))
}
