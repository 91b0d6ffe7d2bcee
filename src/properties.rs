//! String properties whose bytes are not UTF-8. Applications in C may set any bytes; the bindings' `String` aborts on
//! some, so values are looked at here first.

use std::ffi::CStr;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

/// Whether `value` may be read: as a `PathBuf` where the property is one of `paths`, as a `String` or as what it is
/// otherwise. A text that is not UTF-8 is refused with a warning on the bus; the caller keeps the old value. Call it
/// without holding a lock: who gets the warning may ask for a property.
pub(crate) fn usable<T>(imp: &T, value: &glib::Value, pspec: &glib::ParamSpec, paths: &[&str]) -> bool
where
    T: ElementImpl,
    T::Type: IsA<gst::Element>,
{
    // File names are bytes on Unix, and UTF-8 elsewhere.
    if cfg!(unix) && paths.contains(&pspec.name()) || is_utf8(value) {
        return true;
    }
    let name = pspec.name();
    gst::element_imp_warning!(
        imp,
        gst::LibraryError::Settings,
        ["{name} is not UTF-8 and cannot be read; the old value stays: set it to text in UTF-8"]
    );
    false
}

/// Whether a string is UTF-8; values of other types are.
fn is_utf8(value: &glib::Value) -> bool {
    if value.type_() != glib::Type::STRING {
        return true;
    }
    // SAFETY: the value holds a string, which is NULL or ends with a NUL, and lives as long as the borrowed value.
    unsafe {
        let bytes = glib::gobject_ffi::g_value_get_string(glib::translate::ToGlibPtr::to_glib_none(value).0);
        bytes.is_null() || CStr::from_ptr(bytes).to_str().is_ok()
    }
}
