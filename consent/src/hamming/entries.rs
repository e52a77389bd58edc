//! The codes of an index, each distinct one once, with its tags and its place in the chains.
//!
//! Invariants: entries are numbered from 0 in the order they came and never move or go, so growing
//! never holds two copies of them; links are numbers plus one, and 0 ends a chain.
//! What it is not: something that knows what a chunk is. `chains` writes and follows the links.

/// A code as four words, first byte lowest.
pub(super) type Code = [u64; 4];

/// Links in the same cache line as their code.
pub(super) const NEAR_LINKS: usize = 8;
/// Links beside it.
const FAR_LINKS: usize = 3;
/// Links of each entry.
pub(super) const LINKS: usize = NEAR_LINKS + FAR_LINKS;
const PAGE_BITS: u32 = 16;
const PAGE: usize = 1 << PAGE_BITS;
/// Entries looked at for a code that is there already. Longer chains only come from codes made to
/// collide; their repeats are then stored again, which costs room and nothing else.
const SAME_STEPS_MAX: usize = 64;

/// What a query touches: one cache line, so one miss for a candidate.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Near {
    pub(super) code: Code,
    pub(super) links: [u32; NEAR_LINKS],
}

/// What it touches less often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Far {
    pub(super) links: [u32; FAR_LINKS],
    same: u32,
    tag: u32,
    more: u32,
}

/// A list in pages. The first page grows; the others are made whole.
#[derive(Debug)]
struct Paged<T> {
    pages: Vec<Vec<T>>,
}

impl<T: Copy> Paged<T> {
    fn push(&mut self, value: T) {
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => page.push(value),
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(value);
                self.pages.push(page);
            }
            None => self.pages.push(vec![value]),
        }
    }

    #[inline]
    fn at(&self, id: u32) -> &T {
        &self.pages[(id >> PAGE_BITS) as usize][id as usize % PAGE]
    }

    #[inline]
    fn at_mut(&mut self, id: u32) -> &mut T {
        &mut self.pages[(id >> PAGE_BITS) as usize][id as usize % PAGE]
    }

    fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.capacity() * size_of::<T>()).sum()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Entries {
    near: Paged<Near>,
    far: Paged<Far>,
    len: u32,
    /// Heads of the chains of codes with one hash.
    same: Vec<u32>,
    /// Tags after an entry's first, each with a link to the next.
    more: Vec<(u32, u32)>,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self {
            near: Paged { pages: Vec::new() },
            far: Paged { pages: Vec::new() },
            len: 0,
            same: vec![0; 4],
            more: Vec::new(),
        }
    }

    /// How many distinct codes there are.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) fn near(&self, id: u32) -> &Near {
        self.near.at(id)
    }

    #[inline]
    pub(super) fn far(&self, id: u32) -> &Far {
        self.far.at(id)
    }

    /// Sets all links of an entry.
    pub(super) fn set_links(&mut self, id: u32, links: &[u32; LINKS]) {
        let (near, far) = links.split_at(NEAR_LINKS);
        self.near.at_mut(id).links.copy_from_slice(near);
        self.far.at_mut(id).links.copy_from_slice(far);
    }

    /// The codes from entry `first` on, in order, with the entries' numbers.
    pub(super) fn codes_from(&self, first: u32) -> impl Iterator<Item = (u32, &Code)> {
        let pages = (0..).zip(&self.near.pages).skip((first >> PAGE_BITS) as usize);
        pages.flat_map(move |(page, entries)| {
            let start: u32 = page << PAGE_BITS;
            let skipped = (first.saturating_sub(start) as usize).min(entries.len());
            let rest = entries[skipped..].iter();
            (start + skipped as u32..).zip(rest.map(|near| &near.code))
        })
    }

    /// Adds a tag to its code; says whether the code is new.
    pub(super) fn insert(&mut self, code: &Code, tag: u32) -> bool {
        let place = hash(code, self.same.len());
        let mut link = self.same[place];
        for _ in 0..SAME_STEPS_MAX {
            let Some(id) = link.checked_sub(1) else { break };
            if self.near(id).code == *code {
                self.add_tag(id, tag);
                return false;
            }
            link = self.far(id).same;
        }
        let same = self.same[place];
        self.near.push(Near { code: *code, links: [0; NEAR_LINKS] });
        self.far.push(Far { links: [0; FAR_LINKS], same, tag, more: 0 });
        self.len += 1;
        self.same[place] = self.len;
        if self.len() > 2 * self.same.len() {
            self.widen();
        }
        true
    }

    /// All tags of an entry.
    pub(super) fn tags(&self, id: u32) -> impl Iterator<Item = u32> {
        let far = self.far(id);
        let mut link = far.more;
        let rest = std::iter::from_fn(move || {
            let (tag, next) = self.more[link.checked_sub(1)? as usize];
            link = next;
            Some(tag)
        });
        std::iter::once(far.tag).chain(rest)
    }

    pub(super) fn bytes(&self) -> usize {
        let more = self.more.capacity() * size_of::<(u32, u32)>();
        self.near.bytes() + self.far.bytes() + self.same.capacity() * size_of::<u32>() + more
    }

    fn add_tag(&mut self, id: u32, tag: u32) {
        let next = self.far(id).more;
        self.more.push((tag, next));
        let link = u32::try_from(self.more.len()).expect("2^32 tags take more than 32 GiB");
        self.far.at_mut(id).more = link;
    }

    /// Four times as many chains by hash.
    fn widen(&mut self) {
        let places = 4 * self.same.len();
        self.same = Vec::new();
        let mut same = vec![0; places];
        for id in 0..self.len {
            let place = hash(&self.near(id).code, places);
            self.far.at_mut(id).same = same[place];
            same[place] = id + 1;
        }
        self.same = same;
    }
}

/// One of `places`, a power of two.
fn hash(code: &Code, places: usize) -> usize {
    // Odd constants from the golden ratio and square roots; any would do.
    let [a, b, c, d] = *code;
    let left = (a ^ b.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let right = (c ^ d.rotate_left(31)).wrapping_mul(0x6a09_e667_f3bc_c909);
    let mixed = (left ^ (left >> 32) ^ right.rotate_left(32)).wrapping_mul(0xbb67_ae85_84ca_a73b);
    (mixed >> 32) as usize & (places - 1)
}
