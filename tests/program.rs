//! The program `densepose`, on inputs of every kind.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::{root, tiny_model};
use gst::prelude::*;

/// What came of a run.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// The program as cargo built it for this test, with the small network; it finds no plugin of ours to load.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["120", env!("CARGO_BIN_EXE_densepose")]).args(arguments).current_dir(folder);
    command.arg("--model").arg(tiny_model()).args(["--densepose", "score-threshold=0.05 threads=1"]);
    command.env("GST_PLUGIN_PATH", "").env("G_DEBUG", "fatal_criticals");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    program(folder, arguments).output().unwrap().into()
}

/// Runs and must succeed.
fn done(folder: &Path, arguments: &[&str]) -> Run {
    let run = run(folder, arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
    run
}

/// Runs a pipeline of GStreamer's, to make an input.
fn make(folder: &Path, pipeline: &str) {
    let mut launch = Command::new("timeout");
    launch.args(["120", "gst-launch-1.0", "-q"]).args(pipeline.split_whitespace()).current_dir(folder);
    common::output(launch);
}

/// Frames of a test picture.
fn frames(width: u32, height: u32, frames: u32) -> String {
    format!("videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,width={width},height={height},framerate=25/1")
}

/// One stream of a file, decoded.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stream {
    /// `video` or `audio`.
    kind: String,
    /// Of the frames; 0 for sound.
    size: (i32, i32),
    /// Running times of the buffers in milliseconds.
    times: Vec<u64>,
    /// How it is stored, such as `audio/mpeg`.
    stored: String,
}

/// What a player makes of a file: its streams, video first.
fn streams(file: &Path) -> Vec<Stream> {
    common::init();
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("filesrc").property("location", file).build().unwrap();
    let decoder = gst::ElementFactory::make("decodebin").build().unwrap();
    pipeline.add_many([&source, &decoder]).unwrap();
    source.link(&decoder).unwrap();
    let stored = std::sync::Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let names = stored.clone();
    decoder.connect("autoplug-continue", false, move |values| {
        names.lock().unwrap().push(values[2].get::<gst::Caps>().unwrap().structure(0).unwrap().name().to_string());
        Some(true.to_value())
    });
    let found = std::sync::Arc::new(std::sync::Mutex::new(Vec::<Stream>::new()));
    let (list, weak) = (found.clone(), pipeline.downgrade());
    decoder.connect_pad_added(move |_, pad| {
        let pipeline = weak.upgrade().unwrap();
        let sink = gst::ElementFactory::make("fakesink").property("sync", false).build().unwrap();
        pipeline.add(&sink).unwrap();
        sink.sync_state_with_parent().unwrap();
        let caps = pad.current_caps().unwrap();
        let caps = caps.structure(0).unwrap();
        let number = |name: &str| caps.get::<i32>(name).unwrap_or(0);
        let kind = caps.name().split('/').next().unwrap().to_owned();
        let size = (number("width"), number("height"));
        let index = {
            let mut list = list.lock().unwrap();
            list.push(Stream { kind, size, ..Stream::default() });
            list.len() - 1
        };
        let list = list.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let segment = pad.sticky_event::<gst::event::Segment>(0).unwrap();
            let segment = segment.segment().downcast_ref::<gst::ClockTime>().unwrap();
            let time = info.buffer().and_then(|b| segment.to_running_time(b.pts()));
            // A player does not show what lies outside the segment.
            list.lock().unwrap()[index].times.extend(time.map(|t| t.mseconds()));
            gst::PadProbeReturn::Ok
        });
        pad.link(&sink.static_pad("sink").unwrap()).unwrap();
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &end);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(message.map(|m| m.type_()), Some(gst::MessageType::Eos), "{} does not play", file.display());
    let mut streams = found.lock().unwrap().clone();
    streams.sort_by_key(|s| s.kind != "video");
    let stored = stored.lock().unwrap();
    for stream in &mut streams {
        let own = stored.iter().find(|name| name.starts_with(&stream.kind) && !name.ends_with("raw"));
        stream.stored = own.cloned().unwrap_or_default();
    }
    streams
}

fn video(file: &Path) -> Stream {
    streams(file).into_iter().find(|s| s.kind == "video").unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures/awkward").join(name)
}

#[test]
fn videos_of_every_size_keep_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The encoder takes more frames than the first sizes have before it gives one.
    for (width, height, count) in [(854, 480, 60), (1080, 1920, 8), (3840, 2160, 4), (640, 360, 1), (102, 76, 3)] {
        make(
            folder,
            &format!(
                "{} ! x264enc speed-preset=ultrafast ! mp4mux ! filesink location=in.mp4",
                frames(width, height, count)
            ),
        );
        let before = video(&folder.join("in.mp4"));
        done(folder, &["in.mp4", "out.mp4", "--force", "--interval", "20", "--picture", "picture.png"]);
        let after = video(&folder.join("out.mp4"));
        assert_eq!(after.size, (width as i32, height as i32));
        assert_eq!(after.times, before.times, "{width}x{height}");
        assert_eq!(after.times.len(), count as usize);
        let picture = image::open(folder.join("picture.png")).unwrap();
        assert_eq!((picture.width(), picture.height()), (width, height));
    }
    assert_eq!(names(folder), ["in.mp4", "out.mp4", "picture.png"]);
}

#[test]
fn odd_sizes_lose_a_row_or_column_rather_than_the_video() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &format!("{} ! vp8enc ! webmmux ! filesink location=in.webm", frames(101, 75, 3)));
    done(folder.path(), &["in.webm", "out.mp4"]);
    let after = video(&folder.path().join("out.mp4"));
    assert_eq!((after.size, after.times.len()), ((100, 74), 3));
}

/// A second of 1280x720 with sound.
fn with_sound(folder: &Path, sound: &str, muxer: &str, name: &str) {
    let video = format!("{} ! x264enc speed-preset=ultrafast", frames(1280, 720, 25));
    let queue = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0";
    make(
        folder,
        &format!(
            "{muxer} name=m ! filesink location={name} {video} ! {queue} ! m. \
             audiotestsrc num-buffers=44 ! audio/x-raw,rate=44100,channels=2 ! {sound} {queue} ! m."
        ),
    );
}

#[test]
fn sound_is_copied_where_the_file_takes_it_and_encoded_where_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (sound, muxer, input, output, stored) in [
        ("avenc_aac !", "mp4mux", "aac.mp4", "aac-out.mp4", "audio/mpeg"),
        ("lamemp3enc !", "matroskamux", "mp3.mkv", "mp3-out.mkv", "audio/mpeg"),
        ("vorbisenc !", "matroskamux", "vorbis.mkv", "vorbis-out.mp4", "audio/mpeg"),
        ("avenc_aac !", "mp4mux", "aac.mp4", "aac-out.webm", "audio/x-opus"),
        ("", "avimux", "raw.avi", "raw-out.mp4", "audio/mpeg"),
    ] {
        with_sound(folder, sound, muxer, input);
        let before = streams(&folder.join(input));
        assert_eq!(before.len(), 2, "{input}");
        done(folder, &[input, output, "--interval", "20"]);
        let after = streams(&folder.join(output));
        assert_eq!(after.len(), 2, "{output} has no sound");
        assert_eq!(after[0].times, before[0].times, "frames of {output}");
        assert_eq!(after[1].stored, stored, "{output}");
        let end = |stream: &Stream| *stream.times.last().unwrap();
        assert!(end(&after[1]).abs_diff(end(&before[1])) < 60, "{output}: {:?}, {:?}", before[1], after[1]);
        done(folder, &[input, output, "--interval", "20", "--no-sound", "--force"]);
        assert_eq!(streams(&folder.join(output)).len(), 1);
    }
    // What is copied is the same to the byte.
    let packets = |name: &str| {
        let mut launch = Command::new("gst-launch-1.0");
        let pipeline = format!("filesrc location={name} ! qtdemux name=q q.audio_0 ! filesink location={name}.aac");
        launch.arg("-q").args(pipeline.split_whitespace()).current_dir(folder);
        common::output(launch);
        fs::read(folder.join(format!("{name}.aac"))).unwrap()
    };
    done(folder, &["aac.mp4", "aac-out.mp4", "--interval", "20", "--force"]);
    let copied = packets("aac-out.mp4");
    assert!(copied.len() > 1000);
    assert!(copied == packets("aac.mp4"), "the sound was changed");
}

/// A video whose frames come at these milliseconds.
fn irregular(file: &Path, times: &[u64]) {
    common::init();
    let description = "appsrc name=in format=time caps=video/x-raw,format=I420,width=64,height=48,framerate=0/1 \
                       ! x264enc bframes=0 ! matroskamux ! filesink name=out";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.by_name("out").unwrap().set_property("location", file);
    pipeline.set_state(gst::State::Playing).unwrap();
    let source = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    for &time in times {
        let mut frame = gst::Buffer::from_slice(vec![time as u8; 64 * 48 * 3 / 2]);
        frame.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(time));
        source.push_buffer(frame).unwrap();
    }
    source.end_of_stream().unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(30), &end).unwrap();
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_variable_frame_rate_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let times = [0, 40, 80, 200, 210, 500, 560, 1000];
    irregular(&folder.join("in.mkv"), &times);
    let before = video(&folder.join("in.mkv")).times;
    assert_eq!(before, times);
    for name in ["out.mkv", "out.mp4"] {
        done(folder, &["in.mkv", name]);
        assert_eq!(video(&folder.join(name)).times, before, "{name}");
    }
}

#[test]
fn frames_without_times_get_some() {
    let folder = tempfile::tempdir().unwrap();
    make(
        folder.path(),
        &format!(
            "{} ! x264enc bframes=0 ! video/x-h264,stream-format=byte-stream ! filesink location=in.h264",
            frames(64, 48, 5)
        ),
    );
    done(folder.path(), &["in.h264", "out.mp4"]);
    assert_eq!(video(&folder.path().join("out.mp4")).times.len(), 5);
}

/// The mean of a part of a picture, by channel.
fn mean(picture: &image::RgbImage, x: u32, y: u32, width: u32, height: u32) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for pixel in image::imageops::crop_imm(picture, x, y, width, height).to_image().pixels() {
        (0..3).for_each(|c| sum[c] += f64::from(pixel[c]) / f64::from(width * height));
    }
    sum
}

#[test]
fn phones_on_their_side_are_turned_upright() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let phone = fixture("phone_rotated.mp4");
    // Stored on its side, said to be upright: portrait comes out, and no tag that would turn it once more.
    let stored = video(&phone).size;
    done(folder, &[phone.to_str().unwrap(), "out.mp4", "--interval", "50", "--picture", "video.png", "--opacity", "0"]);
    let out = video(&folder.join("out.mp4"));
    assert_eq!(out.size, (stored.1, stored.0));
    let picture = image::open(folder.join("video.png")).unwrap().to_rgb8();
    let (width, height) = picture.dimensions();
    assert_eq!((width as i32, height as i32), out.size);
    // The clip's ground is a plain gray at the bottom and has colours above.
    let ground = mean(&picture, 0, height * 9 / 10, width, height / 10);
    assert!(ground.iter().all(|c| (c - ground[1]).abs() < 12.0), "{ground:?}");

    let photo = fixture("exif_orientation_6.jpg");
    done(folder, &[photo.to_str().unwrap(), "photo.png", "--opacity", "0"]);
    let upright = image::open(folder.join("photo.png")).unwrap().to_rgb8();
    let lying = image::open(&photo).unwrap().rotate90().to_rgb8();
    assert_eq!(upright.dimensions(), lying.dimensions());
    let corner = |p: &image::RgbImage| mean(p, 0, 0, 60, 60);
    let other = |p: &image::RgbImage| mean(p, 0, p.height() - 60, 60, 60);
    for (a, b) in [(corner(&upright), corner(&lying)), (other(&upright), other(&lying))] {
        assert!((0..3).all(|c| (a[c] - b[c]).abs() < 3.0), "{a:?} is not {b:?}");
    }
}

#[test]
fn photos_come_out_as_photos_with_their_people() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let picture = tiny_model().join("picture.png");
    let run = done(
        folder,
        &[
            picture.to_str().unwrap(),
            "iuv.png",
            "--style",
            "iuv",
            "--overlay",
            "canvas=black opacity=1",
            "--data",
            "people.jsonl",
        ],
    );
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), ["iuv.png", "people.jsonl"]);
    // As the elements draw it, to the byte.
    let mut harness = gst_check::Harness::new_parse(&format!(
        "densepose mode=sync model={} score-threshold=0.05 threads=1 ! densepose-overlay style=iuv canvas=black opacity=1",
        tiny_model().display()
    ));
    let (caps, frame) = common::tiny_frame("RGB");
    harness.set_src_caps(caps);
    let frame = harness.push_and_pull(frame).unwrap();
    let people = gstdensepose::meta::read(&frame).unwrap();
    let drawn = image::open(folder.join("iuv.png")).unwrap().to_rgb8();
    let (width, height) = (drawn.width() as usize, drawn.height() as usize);
    let map = frame.map_readable().unwrap();
    let rows = map.chunks((width * 3).next_multiple_of(4)).take(height).flat_map(|row| &row[..width * 3]);
    assert!(rows.eq(drawn.as_raw()), "the picture is not what the elements draw");
    assert!(drawn.as_raw().iter().any(|&v| v > 0));
    let lines = fs::read_to_string(folder.join("people.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(line["persons"].as_array().unwrap().len(), people.persons.len());
}

#[test]
fn a_folder_of_photos_becomes_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let photos = folder.join("photos");
    fs::create_dir(&photos).unwrap();
    let picture = tiny_model().join("picture.png");
    fs::copy(&picture, photos.join("a.png")).unwrap();
    fs::copy(&picture, photos.join("b.png")).unwrap();
    fs::copy(fixture("exif_orientation_6.jpg"), photos.join("a.jpg")).unwrap();
    fs::write(photos.join("broken.jpg"), b"\xff\xd8\xff\xe0 no photo").unwrap();
    fs::write(photos.join("notes.txt"), "no photo").unwrap();

    let first = run(folder, &["photos", "drawn", "--data", "data"]);
    // One photo fails; it is named, and the others are done.
    assert_eq!(first.code, 1, "{}", first.stderr);
    assert!(first.stderr.contains("broken.jpg") && first.stderr.contains("1 of 4 photos failed"), "{}", first.stderr);
    assert_eq!(names(&folder.join("drawn")), ["a.jpg.png", "a.png.png", "b.png"]);
    assert_eq!(names(&folder.join("data")), ["a.jpg.jsonl", "a.png.jsonl", "b.jsonl"]);
    // Every photo stands for itself: the same picture twice has the same people, but for their numbers.
    let people = |name: &str| {
        let text = fs::read_to_string(folder.join("data").join(name)).unwrap();
        let mut line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        let persons = line["persons"].as_array_mut().unwrap();
        persons.iter_mut().for_each(|person| person["id"] = 0.into());
        persons.clone()
    };
    assert!(people("b.jsonl").len() > 1);
    assert!(people("a.png.jsonl") == people("b.jsonl"), "the photo before has changed what is found");

    let again = run(folder, &["photos", "drawn"]);
    assert_eq!(again.code, 3, "{}", again.stderr);
    assert_eq!(run(folder, &["photos", "photos"]).code, 2);
    fs::remove_file(photos.join("broken.jpg")).unwrap();
    done(folder, &["photos", "drawn", "--force", "--photo-format", "jpg"]);
    assert!(names(&folder.join("drawn")).contains(&"b.jpg".to_owned()));
}

#[test]
fn files_are_not_replaced_unasked_and_never_by_their_own_result() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, &format!("{} ! x264enc ! mp4mux ! filesink location=in.mp4", frames(64, 48, 3)));
    let before = fs::read(folder.join("in.mp4")).unwrap();
    for (arguments, code, words) in [
        (&["in.mp4", "precious.mp4"][..], 3, "--force"),
        (&["in.mp4", "out.mp4", "--data", "precious.jsonl"], 3, "--force"),
        (&["in.mp4", "out.mp4", "--picture", "precious.png"], 3, "--force"),
        (&["in.mp4", "in.mp4", "--force"], 2, "input"),
        (&["in.mp4", "out.xyz"], 2, ".mp4"),
        (&["in.mp4"], 2, "OUTPUT"),
        (&["in.mp4", "out.mp4", "--style", "cubist"], 2, "contour"),
        (&["in.mp4", "out.mp4", "--interval", "0"], 2, "between 1"),
        (&["in.mp4", "out.mp4", "--overlay", "colour=red"], 2, "colour"),
        (&["in.mp4", "out.mp4", "--encoder", "nosuchenc"], 4, "nosuchenc"),
        (&["nothing.mp4", "out.mp4"], 1, "nothing.mp4"),
    ] {
        for name in ["precious.mp4", "precious.jsonl", "precious.png"] {
            fs::write(folder.join(name), "precious").unwrap();
        }
        let run = run(folder, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments:?}: {}", run.stderr);
        for name in ["precious.mp4", "precious.jsonl", "precious.png"] {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "precious", "{arguments:?}");
        }
    }
    assert!(before == fs::read(folder.join("in.mp4")).unwrap());
    assert_eq!(names(folder), ["in.mp4", "precious.jsonl", "precious.mp4", "precious.png"]);
}

#[test]
fn broken_inputs_are_named_and_leave_an_existing_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_sound(folder, "avenc_aac !", "mp4mux", "whole.mp4");
    let whole = fs::read(folder.join("whole.mp4")).unwrap();
    fs::write(folder.join("half.mp4"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.join("empty.mp4"), "").unwrap();
    fs::write(folder.join("text.mp4"), "this is no video\n".repeat(100)).unwrap();
    make(
        folder,
        "audiotestsrc num-buffers=20 ! audio/x-raw,rate=44100 ! avenc_aac ! mp4mux ! filesink location=sound.mp4",
    );
    for (name, words) in
        [("half.mp4", "half.mp4"), ("empty.mp4", "empty"), ("text.mp4", "text"), ("sound.mp4", "no video")]
    {
        fs::write(folder.join("out.mp4"), "precious").unwrap();
        let run = run(folder, &[name, "out.mp4", "--force"]);
        assert_eq!(run.code, 1, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{name}: {}", run.stderr);
        assert_eq!(fs::read_to_string(folder.join("out.mp4")).unwrap(), "precious", "{name}");
        assert!(!folder.join("out.mp4.part").exists());
    }
}

#[test]
fn signals_leave_files_that_play() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for signal in ["-INT", "-TERM"] {
        // Without an end of its own, and with sound that could run ahead.
        let input = "pipeline:videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1";
        let mut child = {
            let mut command = Command::new(env!("CARGO_BIN_EXE_densepose"));
            command.args([input, "out.mp4", "--force", "--data", "people.jsonl", "--model"]).arg(tiny_model());
            command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let part = folder.join("out.mp4.part");
        while fs::metadata(&part).map_or(0, |m| m.len()) < 2000 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!(run.code, 130, "{}", run.stderr);
        let frames = video(&folder.join("out.mp4")).times.len();
        let lines = fs::read_to_string(folder.join("people.jsonl")).unwrap().lines().count();
        // Frames of live sources do not wait for the first result.
        assert!((1..=frames).contains(&lines), "{frames} frames, {lines} lines");
        assert!(!part.exists());
    }
}

#[test]
fn seconds_end_video_and_sound_together() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_sound(folder, "avenc_aac !", "mp4mux", "in.mp4");
    done(folder, &["in.mp4", "out.mp4", "--seconds", "0.4", "--interval", "20"]);
    let after = streams(&folder.join("out.mp4"));
    assert_eq!(after[0].times.len(), 10);
    let end = *after[1].times.last().unwrap();
    assert!((350..=430).contains(&end), "the sound ends at {end} ms");
}

#[test]
fn a_stage_that_stands_still_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = "pipeline:appsrc caps=video/x-raw,format=RGB,width=64,height=48,framerate=25/1";
    let run = run(folder.path(), &[input, "out.mp4", "--timeout", "2"]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(run.stderr.contains("2 s") && run.stderr.contains("decoding"), "{}", run.stderr);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn help_manual_and_completions_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_densepose"));
        command.args(arguments).current_dir(folder.path());
        common::output(command)
    };
    let help = ask(&["--help"]);
    for words in ["Examples:", "Exit codes:", "--preset", "--force"] {
        assert!(help.contains(words), "{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(ask(&["completions", shell]).contains("preset"), "{shell}");
    }
    assert!(ask(&["manual"]).starts_with(".ie") || ask(&["manual"]).contains(".TH densepose"));
}

#[test]
fn make_demo_takes_videos_and_photos() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target/release");
    fs::create_dir_all(&target).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_densepose"), target.join("densepose")).unwrap();
    let phone = fixture("phone_rotated.mp4");
    let photo = tiny_model().join("picture.png");
    for (input, output, more) in [(&phone, "a video.mp4", Some("a video.png")), (&photo, "a photo.png", None)] {
        // What `make demo` runs after it has built the program.
        let mut make = Command::new("make");
        make.current_dir(root()).args(["-s", "demo-run"]).arg(format!("INPUT={}", input.display()));
        make.arg(format!("OUTPUT={}", folder.path().join(output).display()));
        make.arg(format!("TARGET={}", folder.path().join("target").display()));
        make.arg(format!("OPTIONS=--interval 20 --model {}", tiny_model().display()));
        for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
            make.env_remove(name);
        }
        common::output(make);
        for name in [Some(output), more].into_iter().flatten() {
            assert!(fs::metadata(folder.path().join(name)).unwrap().len() > 0, "{name}");
        }
    }
}

#[test]
fn make_install_brings_the_program_and_uninstall_takes_it_away() {
    let prefix = tempfile::tempdir().unwrap();
    let make = |target: &str| {
        let mut make = Command::new("make");
        make.current_dir(root()).args(["-s", target]).arg(format!("PREFIX={}", prefix.path().display()));
        make.arg(format!("PROGRAM={}", env!("CARGO_BIN_EXE_densepose")));
        for name in ["BINDIR", "DATADIR", "INCLUDEDIR", "PKGCONFIGDIR", "DESTDIR", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
            make.env_remove(name);
        }
        common::output(make);
    };
    let files = [
        "bin/densepose",
        "share/man/man1/densepose.1",
        "share/bash-completion/completions/densepose",
        "share/zsh/site-functions/_densepose",
        "share/fish/vendor_completions.d/densepose.fish",
    ];
    make("install-program");
    for file in files {
        assert!(fs::metadata(prefix.path().join(file)).is_ok_and(|f| f.len() > 0), "{file}");
    }
    let mut help = Command::new(prefix.path().join("bin/densepose"));
    help.arg("--help");
    assert!(common::output(help).contains("Examples:"));
    make("uninstall");
    for file in files {
        assert!(!prefix.path().join(file).exists(), "{file} is still there");
    }
}
