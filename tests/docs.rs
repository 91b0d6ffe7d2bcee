//! The word of README.md and of docs/ on pipelines, properties and Python.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{command, command_with, output, plugins, root, tiny_model};
use gst::prelude::*;

/// README.md and every page of docs/, by name.
fn pages() -> BTreeMap<PathBuf, String> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|f| f.unwrap().path());
    let pages = docs.filter(|p| p.extension().is_some_and(|e| e == "md")).chain([root().join("README.md")]);
    pages.map(|p| (p.strip_prefix(root()).unwrap().to_owned(), std::fs::read_to_string(&p).unwrap())).collect()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// The command lines of a page that begin with `gst-launch-1.0`, or do so for each photo, or run the program.
fn pipelines(text: &str) -> Vec<String> {
    let lines = blocks(text, "sh").concat();
    let runs = ["gst-launch-1.0 ", "for photo in ", "densepose "];
    lines.lines().filter(|line| runs.iter().any(|run| line.starts_with(run))).map(str::to_owned).collect()
}

/// The pipeline as a test can run it: cameras, network streams and screens replaced, the small network in `densepose`.
fn runnable(pipeline: &str) -> String {
    if let Some(arguments) = pipeline.strip_prefix("densepose ") {
        return format!("{} {arguments} --model {}", env!("CARGO_BIN_EXE_densepose"), tiny_model().display());
    }
    let densepose = format!("densepose model={} score-threshold=0.05", tiny_model().display());
    let parts = pipeline.split(" ! ").map(|part| match part.split_whitespace().next_back().unwrap_or_default() {
        _ if part.contains("rtspsrc ") => cut(part, "rtspsrc ", "filesrc location=in.mp4"),
        _ if part.contains("v4l2src") => cut(part, "v4l2src", "videotestsrc num-buffers=4"),
        _ if part.contains("autovideosink") => part.replace("autovideosink", "fakesink"),
        _ if part == "densepose" || part.starts_with("densepose ") => part.replacen("densepose", &densepose, 1),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(" ! ")
}

/// `part` with all from `start` on replaced.
fn cut(part: &str, start: &str, replacement: &str) -> String {
    part.split_once(start).map_or(part, |(before, _)| before).to_owned() + replacement
}

/// What pages take for granted: `in.mp4`, as large as videos are and with sound, on which the small network finds people,
/// photos, and a texture.
fn material(directory: &Path, plugins: &tempfile::TempDir) {
    let atlas = image::RgbImage::from_fn(64, 96, |x, y| image::Rgb([x as u8 * 4, y as u8 * 2, 200]));
    atlas.save(directory.join("atlas.png")).unwrap();
    let picture = tiny_model().join("picture.png");
    std::fs::create_dir(directory.join("photos")).unwrap();
    for name in ["photo.jpg", "photos/one.jpg", "photos/two.jpg"] {
        image::open(&picture).unwrap().to_rgb8().save(directory.join(name)).unwrap();
    }
    let mut launch = command_with(plugins, "gst-launch-1.0");
    let pipeline = format!(
        "filesrc location={} ! pngdec ! imagefreeze num-buffers=24 ! videoconvert ! videoscale \
         ! video/x-raw,format=I420,width=1280,height=720,framerate=25/1 ! x264enc speed-preset=ultrafast \
         ! queue max-size-time=0 ! mp4mux name=m ! filesink location={} \
         audiotestsrc num-buffers=40 ! audioconvert ! avenc_aac ! queue ! m.",
        picture.display(),
        directory.join("in.mp4").display()
    );
    launch.args(pipeline.split_whitespace());
    output(launch);
}

#[test]
fn every_pipeline_runs_and_writes_what_it_names() {
    let plugins = plugins();
    for (page, text) in pages() {
        let lines = pipelines(&text);
        if lines.is_empty() {
            continue;
        }
        // The pipelines of a page run in its order, in one directory: one may read what another wrote.
        let scratch = tempfile::tempdir().unwrap();
        material(scratch.path(), &plugins);
        for line in lines {
            let before = files(scratch.path());
            let mut shell = command_with(&plugins, "bash");
            let mut run = runnable(&line);
            if line.contains("hlssink2 ") {
                // Now and then it loses the message that the stream has ended (seen with GStreamer 1.22, all tasks idle).
                run = format!("timeout 20 {run} || [ $? = 124 ]");
            }
            shell.current_dir(scratch.path()).args(["-c", &run]);
            println!("{}: {line}", page.display());
            output(shell);
            let after = files(scratch.path());
            let writes = ["filesink ", "multifilesink ", "splitmuxsink ", "hlssink2 ", "densepose-export "];
            if line.starts_with("densepose ") || writes.iter().any(|w| line.contains(w)) {
                let new = after.iter().filter(|(name, size)| **size > 0 && before.get(*name) != Some(size));
                assert!(new.count() > 0, "{}: nothing was written by\n{line}", page.display());
            }
        }
    }
}

/// Names and sizes of a directory's files.
fn files(directory: &Path) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(directory).unwrap().map(|f| f.unwrap());
    entries.map(|f| (f.file_name().into_string().unwrap(), f.metadata().unwrap().len())).collect()
}

#[test]
fn the_readmes_python_reads_people() {
    let (mut python, _plugins) = command("/usr/bin/python3");
    python.arg("-c").arg(blocks(&pages()[Path::new("README.md")], "python").concat());
    let text = output(python);
    let people: Vec<_> = text.lines().filter(|l| l.contains("parts: [0, ")).collect();
    assert!(!people.is_empty(), "no person read:\n{text}");
}

/// `name -> (type, default)` of the rows of the property table below a heading, if the page has one.
fn table(text: &str, heading: &str) -> Option<BTreeMap<String, (String, String)>> {
    let heading = text.lines().find(|l| l.starts_with('#') && l.trim_start_matches('#').trim() == heading)?;
    let section = text.split_once(&format!("{heading}\n"))?.1;
    // Up to the next heading of the same level.
    let end = section.lines().take_while(|l| !l.starts_with(&format!("{} ", heading.split(' ').next().unwrap_or("#"))));
    let rows: Vec<_> = end.skip_while(|l| !l.starts_with("| property |")).take_while(|l| l.starts_with('|')).collect();
    let cells = rows.iter().filter(|l| l.starts_with("| `")).map(|row| {
        let cells: Vec<_> = row.split('|').map(|c| c.trim().trim_matches('`').to_owned()).collect();
        (cells[1].clone(), (cells[2].clone(), cells[3].clone()))
    });
    (!rows.is_empty()).then(|| cells.collect())
}

#[test]
fn every_element_has_a_true_property_table() {
    common::init();
    let registry = gst::Registry::get();
    let plugin = registry.features_by_plugin("densepose");
    let pages = pages();
    let mut elements = 0;
    for factory in plugin.into_iter().filter_map(|f| f.downcast::<gst::ElementFactory>().ok()) {
        elements += 1;
        let element = factory.create().build().unwrap();
        let own = |p: &&glib::ParamSpec| p.owner_type() == element.type_();
        let code: BTreeMap<_, _> = element.list_properties().iter().filter(own).map(described).collect();
        let name = factory.name();
        let tables: Vec<_> = pages.iter().filter_map(|(page, text)| Some((page, table(text, &name)?))).collect();
        assert!(
            !tables.is_empty(),
            "no page has a heading `{name}` with a table `| property | type | default | meaning |`"
        );
        for (page, table) in tables {
            assert_eq!(table, code, "{}, properties of {name}", page.display());
        }
    }
    assert!(elements >= 2);
}

fn described(p: &glib::ParamSpec) -> (String, (String, String)) {
    let default = p.default_value();
    let (kind, default) = if let Ok(v) = default.get::<Option<String>>() {
        ("string", v.unwrap_or_else(|| "unset".into()))
    } else if let Ok(v) = default.get::<u32>() {
        ("uint", v.to_string())
    } else if let Ok(v) = default.get::<i32>() {
        ("int", v.to_string())
    } else if let Ok(v) = default.get::<i64>() {
        ("int64", v.to_string())
    } else if let Ok(v) = default.get::<u64>() {
        ("uint64", v.to_string())
    } else if let Ok(v) = default.get::<f64>() {
        ("double", v.to_string())
    } else if let Ok(v) = default.get::<bool>() {
        ("boolean", v.to_string())
    } else if let Some((_, v)) = glib::EnumValue::from_value(default) {
        ("enum", v.nick().to_string())
    } else if p.value_type() == gst::Structure::static_type() {
        ("structure", String::new())
    } else {
        panic!("{} has a type that the pages have no word for", p.name())
    };
    (p.name().to_string(), (kind.to_string(), default))
}
