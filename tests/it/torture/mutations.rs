//! Ways to break a file. Which byte is hit follows from the mutation's number and the file's size alone, so a case is the
//! same each time.

use std::fmt;
use std::path::Path;

/// What is done to a file. A number tells several of a kind apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mutation {
    /// Only the first thousandths are left.
    Cut(usize),
    /// The last bytes are gone, as many as said.
    CutEnd(usize),
    Flip(u64),
    /// A bit of the byte that stands this far before the end.
    FlipEnd(usize),
    /// A tenth of the file, somewhere, is zero.
    Zero(u64),
    /// A tenth of the file, somewhere, appears twice.
    Double(u64),
    Prefix,
    Suffix,
    /// Every line end is a carriage return and a line feed.
    Crlf,
    Nul(u64),
    NotUtf8(u64),
    /// A number is another text.
    Number(u64, &'static str),
    /// The first text becomes the second wherever it stands.
    Swap(&'static str, &'static str),
    Empty,
    Folder,
    Missing,
    /// No one may read it.
    Unreadable,
}

use Mutation::*;

/// What stands in the place of numbers.
const NUMBERS: [&str; 8] = [
    "99999999999999999999",
    "18446744073709551615",
    "9223372036854775807",
    "4294967296",
    "-1",
    "1e400",
    "nan",
    "1000000000000",
];

/// What no file survives.
pub const GONE: [Mutation; 4] = [Empty, Folder, Missing, Unreadable];

/// For text of any kind.
pub fn of_text() -> Vec<Mutation> {
    let bytes = [Cut(300), Flip(1), Zero(1), Crlf, NotUtf8(1)];
    [&bytes[..], &GONE].concat()
}

/// Numbers of a text made huge, negative or no numbers.
pub fn of_numbers(count: u64) -> Vec<Mutation> {
    (0..count).map(|n| Number(n, NUMBERS[n as usize % NUMBERS.len()])).collect()
}

/// For what is compressed, or binary in another way.
pub fn of_bytes() -> Vec<Mutation> {
    let bytes = [Cut(30), Cut(800), Flip(1), Flip(2), Zero(1)];
    [&bytes[..], &GONE].concat()
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut(n) => write!(f, "cut after {n} thousandths"),
            CutEnd(n) => write!(f, "{n} bytes cut off"),
            Flip(n) => write!(f, "flipped bit {n}"),
            FlipEnd(n) => write!(f, "flipped bit {n} bytes before the end"),
            Zero(n) => write!(f, "zeros {n}"),
            Double(n) => write!(f, "doubled stretch {n}"),
            Prefix => write!(f, "garbage before"),
            Suffix => write!(f, "garbage after"),
            Crlf => write!(f, "carriage returns"),
            Nul(n) => write!(f, "NUL {n}"),
            NotUtf8(n) => write!(f, "no UTF-8 {n}"),
            Number(n, to) => write!(f, "number {n} is {to}"),
            Swap(from, to) => write!(f, "{} for {}", to.escape_debug(), from.escape_debug()),
            Empty => write!(f, "empty"),
            Folder => write!(f, "folder"),
            Missing => write!(f, "missing"),
            Unreadable => write!(f, "unreadable"),
        }
    }
}

impl Mutation {
    /// Whether it leaves no file that could be read.
    pub fn is_gone(self) -> bool {
        GONE.contains(&self)
    }

    /// Breaks the file; false where this machine cannot.
    pub fn apply(self, path: &Path) -> bool {
        match self {
            Folder => {
                std::fs::remove_file(path).unwrap();
                std::fs::create_dir(path).unwrap();
            }
            Missing => std::fs::remove_file(path).unwrap(),
            Unreadable => {
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o0)).unwrap();
                }
                return std::fs::File::open(path).is_err(); // root reads everything
            }
            _ => {
                let bytes = std::fs::read(path).unwrap();
                let broken = self.break_bytes(bytes.clone());
                if broken == bytes {
                    return false;
                }
                std::fs::write(path, broken).unwrap();
            }
        }
        true
    }

    fn break_bytes(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let size = bytes.len();
        match self {
            Cut(thousandths) => bytes.truncate(size * thousandths / 1000),
            CutEnd(count) => bytes.truncate(size.saturating_sub(count)),
            Flip(n) => bytes[place(n, size)] ^= 1 << (n % 8),
            FlipEnd(count) => bytes[size - count] ^= 4,
            Zero(n) => {
                let start = place(n, size - size / 10);
                bytes[start..start + size / 10].fill(0);
            }
            Double(n) => {
                let start = place(n, size - size / 10);
                let stretch = bytes[start..start + size / 10].to_vec();
                bytes.splice(start..start, stretch);
            }
            Prefix => drop(bytes.splice(0..0, *b"\x07garbage\x1b")),
            Suffix => bytes.extend(*b"\x07garbage\x1b"),
            Crlf => {
                let parts: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
                bytes = parts.join(&b"\r\n"[..]);
            }
            Nul(n) => bytes.insert(place(n, size), 0),
            NotUtf8(n) => drop(bytes.splice(place(n, size)..place(n, size), [0xff, 0xfe])),
            Number(n, to) => {
                let digits = runs_of_digits(&bytes);
                if !digits.is_empty() {
                    let range = digits[place(n, digits.len())].clone();
                    bytes.splice(range, to.bytes());
                }
            }
            Swap(from, to) => {
                let at = |bytes: &[u8], start: usize| {
                    (start..=bytes.len().saturating_sub(from.len())).find(|&i| bytes[i..].starts_with(from.as_bytes()))
                };
                let mut start = 0;
                while let Some(i) = at(&bytes, start) {
                    bytes.splice(i..i + from.len(), to.bytes());
                    start = i + to.len();
                }
            }
            Empty => bytes.clear(),
            Folder | Missing | Unreadable => unreachable!("not about bytes"),
        }
        bytes
    }
}

/// A place below `size` that looks drawn at random.
fn place(n: u64, size: usize) -> usize {
    let mut state = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((state ^ state >> 31) % size.max(1) as u64) as usize
}

fn runs_of_digits(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (i, _) in bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match runs.last_mut() {
            Some(run) if run.end == i => run.end += 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}
