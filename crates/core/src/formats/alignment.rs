//! What SAM and BAM say of one alignment of a read (SAM specification, sections 1.4 and 4.2), as far as the place of a read needs it.

use std::ops::Range;

/// One alignment of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The flags of the record.
    pub flags: Flags,
    /// Where the reference stands in the reader's list; `None` for a read without one.
    pub reference: Option<usize>,
    /// Bases of the reference from the first to the last that the CIGAR reaches, 0-based and half-open.
    pub range: Range<usize>,
    /// Deletions within them, in order.
    pub deletions: Vec<Range<usize>>,
    /// Mapping quality; 255 where it is not known.
    pub mapping_quality: u8,
    /// Length of the fragment in bp, where both mates lie on one reference.
    pub fragment_length: Option<usize>,
}

/// The bits of a record's flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// One of two mates.
    pub const PAIRED: Self = Self(0x1);
    /// Not aligned.
    pub const UNMAPPED: Self = Self(0x4);
    /// Aligned to the minus strand.
    pub const REVERSE: Self = Self(0x10);
    /// Mate 1.
    pub const FIRST: Self = Self(0x40);
    /// Mate 2.
    pub const SECOND: Self = Self(0x80);
    /// Another place that the read fits.
    pub const SECONDARY: Self = Self(0x100);
    /// Failed the checks of the instrument.
    pub const FAILED: Self = Self(0x200);
    /// A duplicate of another read.
    pub const DUPLICATE: Self = Self(0x400);
    /// Another part of a read that is aligned in parts.
    pub const SUPPLEMENTARY: Self = Self(0x800);

    /// Whether a bit is set.
    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

/// The bases of the reference from `start` that a CIGAR reaches over, and the deletions among them. `M`, `D`, `N`, `=` and `X` move along
/// the reference. `None` where it reaches over more than there can be.
pub fn reached(
    start: usize,
    operations: impl Iterator<Item = (u8, usize)>,
) -> Option<(Range<usize>, Vec<Range<usize>>)> {
    let (mut end, mut deletions) = (start, Vec::new());
    for (operation, length) in operations.filter(|(operation, _)| b"MDN=X".contains(operation)) {
        let next = end.checked_add(length)?;
        if operation == b'D' {
            deletions.push(end..next);
        }
        end = next;
    }
    Some((start..end, deletions))
}

/// The length of a fragment from the template length of its mates, where both lie on one reference.
pub fn fragment_length(flags: Flags, same_reference: bool, template_length: i64) -> Option<usize> {
    let length = usize::try_from(template_length.unsigned_abs()).ok().filter(|length| *length > 0)?;
    (flags.has(Flags::PAIRED) && same_reference).then_some(length)
}
