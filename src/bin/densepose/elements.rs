//! Elements, with errors that say what is missing or wrong.

use gst::glib;
use gst::prelude::*;

use crate::arguments::Properties;
use crate::outcome::Failure;

/// Makes an element.
pub fn make(name: &str) -> Result<gst::Element, Failure> {
    gst::ElementFactory::make(name).build().map_err(|_| Failure::missing(name))
}

/// Makes an element and sets properties, written as in a pipeline.
pub fn with(name: &str, properties: &[(&str, &str)]) -> Result<gst::Element, Failure> {
    let element = make(name)?;
    for (property, value) in properties {
        set(&element, property, value)?;
    }
    Ok(element)
}

/// Sets a property that a user names.
pub fn set(element: &gst::Element, property: &str, value: &str) -> Result<(), Failure> {
    let name = element.factory().map(|f| f.name().to_string()).unwrap_or_default();
    let Some(spec) = element.find_property(property) else {
        return Err(Failure::usage(format!("{name} has no property '{property}'"))
            .remedy(format!("Its properties: gst-inspect-1.0 {name}, or the project's docs.")));
    };
    if spec.value_type() == String::static_type() {
        element.set_property(property, value);
        return Ok(());
    }
    let value = glib::Value::deserialize_with_pspec(value, &spec).map_err(|_| {
        Failure::usage(format!("'{value}' is no value for the property '{property}' of {name}")).remedy(allowed(&spec))
    })?;
    if let Some((least, most)) = outside(&spec, &value) {
        let cause = format!("the property '{property}' of {name} is out of range");
        return Err(Failure::usage(cause).remedy(format!("It lies between {least} and {most}.")));
    }
    element.set_property_from_value(property, &value);
    Ok(())
}

/// The range of a number, where it lies outside.
fn outside(spec: &glib::ParamSpec, value: &glib::Value) -> Option<(String, String)> {
    macro_rules! range {
        ($($spec:ty, $number:ty);*) => {
            $(if let (Some(spec), Ok(number)) = (spec.downcast_ref::<$spec>(), value.get::<$number>()) {
                let (least, most) = (spec.minimum(), spec.maximum());
                return (number < least || number > most).then(|| (least.to_string(), most.to_string()));
            })*
        };
    }
    range!(glib::ParamSpecUInt, u32; glib::ParamSpecInt, i32; glib::ParamSpecUInt64, u64; glib::ParamSpecInt64, i64;
        glib::ParamSpecDouble, f64);
    None
}

/// The values that a property takes, in words.
fn allowed(spec: &glib::ParamSpec) -> String {
    match glib::EnumClass::with_type(spec.value_type()) {
        Some(class) => {
            let names: Vec<_> = class.values().iter().map(|v| v.nick().to_owned()).collect();
            format!("It is one of: {}.", names.join(", "))
        }
        None => format!("It is: {}.", spec.blurb().unwrap_or("a value of another type")),
    }
}

/// An element of ours, with what the user set.
pub fn own(name: &str, properties: &Properties) -> Result<gst::Element, Failure> {
    let element = described(&format!("{name} {}", properties.text))?;
    for (property, value) in &properties.pairs {
        set(&element, property, value)?;
    }
    Ok(element)
}

/// A single element, or several as a bin with one sink and one source pad, as in a pipeline.
pub fn described(text: &str) -> Result<gst::Element, Failure> {
    let name = text.split_whitespace().next().unwrap_or_default();
    if !text.contains('!') && gst::ElementFactory::find(name).is_none() {
        return Err(Failure::missing(name));
    }
    let wrong = |e: glib::Error| Failure::usage(format!("'{}': {}", text.trim(), e.message()));
    if text.contains('!') {
        return Ok(gst::parse::bin_from_description(text, true).map_err(wrong)?.upcast());
    }
    gst::parse::launch_full(text, None, gst::ParseFlags::FATAL_ERRORS).map_err(wrong)
}

/// A queue that never holds up what comes before it: for encoded data in front of a muxer.
pub fn unlimited_queue() -> Result<gst::Element, Failure> {
    let limits = [("max-size-buffers", "0"), ("max-size-bytes", "0"), ("max-size-time", "0")];
    with("queue", &limits)
}

/// A queue of few raw frames: what follows has a thread of its own.
pub fn short_queue() -> Result<gst::Element, Failure> {
    let limits = [("max-size-buffers", "3"), ("max-size-bytes", "0"), ("max-size-time", "0")];
    with("queue", &limits)
}

/// Adds elements and links them one after the other.
pub fn chain(bin: &gst::Bin, elements: &[gst::Element]) -> Result<(), Failure> {
    bin.add_many(elements).and_then(|()| gst::Element::link_many(elements)).map_err(|e| Failure::failed(e.to_string()))
}
