//! Where the bytes of one file go: to a file that gets its name once it is complete, or through a pipe, socket or device.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::Existing;
use super::files::FileError;

/// What is after the name of a file that is not complete.
pub const PART: &str = ".part";

pub enum Target {
    /// A file that is written as `part` until it is complete.
    File { file: File, path: PathBuf, part: PathBuf, existing: Existing, appends: bool },
    /// What is no regular file: bytes go through at once, nothing is created, renamed or removed.
    Through { to: Box<dyn Write + Send>, path: PathBuf },
}

impl Target {
    /// Opens what `path` names. Of a symbolic link the file that it leads to is meant; the link stays.
    pub fn open(path: &Path, existing: Existing) -> Result<Self, FileError> {
        if let Some(to) = through(path).map_err(FileError::new("open", path))? {
            return Ok(Self::Through { to, path: path.to_owned() });
        }
        let path = followed(path).map_err(FileError::new("follow the link", path))?;
        let part = part(&path);
        let appends = existing == Existing::Append && path.exists();
        let mut options = OpenOptions::new();
        options.write(true);
        let file = match existing {
            Existing::Overwrite => {
                options.create(true).truncate(true).open(&part).map_err(FileError::new("create", &part))?
            }
            Existing::Append => reopen(&path, &part)?,
            Existing::Keep if path.exists() => {
                return Err(FileError::new("create", &path)(ErrorKind::AlreadyExists.into()));
            }
            Existing::Keep => options.create_new(true).open(&part).map_err(FileError::new("create", &part))?,
        };
        Ok(Self::File { file, path, part, existing, appends })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        match self {
            Self::File { file, part, .. } => file.write_all(bytes).map_err(FileError::new("write", part)),
            Self::Through { to, path } => {
                to.write_all(bytes).and_then(|()| to.flush()).map_err(FileError::new("write to", path))
            }
        }
    }

    /// Gives the file its name.
    pub fn complete(self) -> Result<(), FileError> {
        let Self::File { file, path, part, existing, .. } = self else { return Ok(()) };
        file.sync_all().map_err(FileError::new("write", &part))?;
        if existing != Existing::Overwrite && path.exists() {
            return Err(FileError::new("rename its .part to", &path)(ErrorKind::AlreadyExists.into()));
        }
        fs::rename(&part, &path).map_err(FileError::new("rename its .part to", &path))
    }

    /// Leaves the file under its incomplete name if something `worthy` is in it, and returns that name; else takes it
    /// away. A file that lines were added to was complete before and gets its name back.
    pub fn abandon(self, worthy: bool) -> Result<Option<PathBuf>, FileError> {
        let Self::File { path, part, existing, appends, .. } = self else { return Ok(None) };
        if appends {
            fs::rename(&part, &path).map_err(FileError::new("rename its .part to", &path))?;
            return Ok(None);
        }
        // Lines that a crash left behind before are kept, too.
        let crashed = existing == Existing::Append && fs::metadata(&part).is_ok_and(|m| m.len() > 0);
        if worthy || crashed {
            return Ok(Some(part));
        }
        fs::remove_file(&part).map_err(FileError::new("remove the empty", &part))?;
        Ok(None)
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

/// A way into what is no regular file: FIFOs, sockets, devices, and whatever the system names the open files of a
/// process by (`/dev/stdout`), also where that is a regular file. `None` for regular files and new names.
fn through(path: &Path) -> io::Result<Option<Box<dyn Write + Send>>> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(None) };
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if kind.is_socket() {
        return Ok(Some(Box::new(UnixStream::connect(path)?)));
    }
    let open_file = ["/dev/std", "/dev/fd/", "/proc/"].iter().any(|system| path.to_string_lossy().starts_with(system));
    if kind.is_file() && !open_file {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    options.append(true);
    if !kind.is_fifo() {
        return Ok(Some(Box::new(options.open(path)?)));
    }
    // Opening a FIFO waits for its reader, and nothing could interrupt that: better an error that says so.
    let fifo = options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(path).map_err(|e| {
        let unread = e.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
        if unread { io::Error::other("nobody reads this FIFO; start its reader first") } else { e }
    })?;
    let flags = rustix::fs::fcntl_getfl(&fifo)?;
    rustix::fs::fcntl_setfl(&fifo, flags - rustix::fs::OFlags::NONBLOCK)?;
    Ok(Some(Box::new(fifo)))
}

/// The file that a symbolic link leads to in the end, though it may not be there yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Opens a file to add lines to it. It goes by its incomplete name meanwhile, as does what a crash left behind.
fn reopen(path: &Path, part: &Path) -> Result<File, FileError> {
    if path.exists() {
        if part.exists() {
            // Which of the two holds what is not for us to decide.
            return Err(FileError::new("append to", part)(ErrorKind::AlreadyExists.into()));
        }
        fs::rename(path, part).map_err(FileError::new("rename", path))?;
    }
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).append(true).create(true).open(part).map_err(FileError::new("append to", part))?;
    end_line(&mut file).map_err(FileError::new("append to", part))?;
    Ok(file)
}

/// Ends a line that was cut off, so that it spoils no other.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}
