//! Identities on files, with a ledger: rotation with a crash after each step, and restored ledgers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use consent::{Policy, SetAside, Silence, Statement, Subject, TableSeed, Use};
use protocol::ContentId;

use super::rotate::Step;
use super::*;
use crate::api::dto::Passphrase;
use crate::home::Home;
use crate::ledger::{LedgerBook, OwnError};

const NAME: &str = "artist";
const UNTIL_MS: u64 = u64::MAX / 2;

/// A data directory with the recovery file in it, so that a copy of it has all of it.
struct Place {
    home: Home,
    ledger: LedgerBook,
    access: Access,
}

impl Place {
    fn open(dir: &Path, with_recovery: bool) -> Self {
        let (home, _) = Home::init(dir).expect("made");
        let ledger = LedgerBook::open(&home.ledger(), TableSeed::default()).expect("opened");
        let recovery = with_recovery.then(|| dir.join("recovery"));
        Self { home, ledger, access: Access { passphrase: None, recovery } }
    }

    fn speaker(&self) -> Speaker {
        self.home.identities().open(NAME, &self.access).expect("usable")
    }

    fn deny(&self, name: &str) -> Result<(), OwnError> {
        let deny = Statement::deny(&[Use::Mine]).over([work(name)]);
        self.ledger.state(&self.speaker(), &deny, None, 1).map(|_| ())
    }

    fn allow(&self, name: &str) -> Result<(), OwnError> {
        let allow = Statement::allow(&[Use::Mine], UNTIL_MS);
        let works = BTreeSet::from([Subject::Content(work(name))]);
        self.ledger.opt_in(&self.speaker(), &works, &allow, None, 1).map(|_| ())
    }

    fn may(&self, name: &str) -> bool {
        let default = Silence::OptIn;
        let policy = Policy { default, cooling_ms: 0, ..Policy::default() };
        let ask = |gate: &consent::Gate<'_>| {
            gate.check(&work(name).into(), Use::Mine, &SetAside::default()).is_ok()
        };
        self.ledger.with_gate(&policy, ask).1
    }

    fn rotations(&self) -> usize {
        self.home.identities().summary(NAME).expect("usable").rotations
    }
}

fn work(name: &str) -> ContentId {
    ContentId::of(name.as_bytes())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("there") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(|_| ()).expect("copied"),
        }
    }
}

#[test]
fn a_crash_at_any_instant_of_a_rotation_leaves_a_usable_identity() {
    for with_recovery in [false, true] {
        let all = tempfile::tempdir().expect("a directory");
        let dir = all.path().join("now");
        let place = Place::open(&dir, with_recovery);
        place.home.identities().create(NAME, &place.access).expect("made");
        place.deny("a").expect("said");
        let mut copies = vec![(None, all.path().join("before"))];
        copy(&dir, &copies[0].1);
        let mut speaker = place.speaker();
        let new = rotate(&mut speaker, &place.ledger, |step| {
            let to = all.path().join(format!("{step:?}"));
            copy(&dir, &to);
            copies.push((Some(step), to));
        });
        assert_eq!((new.expect("rotated").len(), copies.len()), (1, 6));
        for (step, dir) in copies {
            let what = format!("{step:?}, recovery file: {with_recovery}");
            let place = Place::open(&dir, with_recovery);
            let recorded = !matches!(step, None | Some(Step::Recoverable | Step::Prepared));
            let keys = place.ledger.keys_in_force(&place.speaker().ring.feed_id()).expect("there");
            let is_new = keys.daily == speaker.ring.generations[1].daily.public();
            assert_eq!(is_new, recorded, "{what}");
            assert!(!place.may("a"), "{what}");
            place.deny("b").expect(&what);
            place.allow("a").expect(&what);
            assert!(place.may("a"), "{what}");
            // Trying again finishes it, or does it once more if it was finished.
            rotate(&mut place.speaker(), &place.ledger, |_| ()).expect(&what);
            let finished = matches!(step, Some(Step::Settled | Step::Done));
            assert_eq!(place.rotations(), if finished { 2 } else { 1 }, "{what}");
            assert!(place.may("a") && !place.may("b"), "{what}");
            place.allow("b").expect(&what);
            assert!(place.may("b"), "{what}");
            let again = Place::open(&dir, with_recovery);
            again.deny("c").expect(&what);
        }
    }
}

#[test]
fn a_ledger_behind_what_was_signed_is_not_signed_on() {
    let all = tempfile::tempdir().expect("a directory");
    let dir = all.path().join("now");
    let place = Place::open(&dir, false);
    place.home.identities().create(NAME, &place.access).expect("made");
    place.deny("a").expect("said");
    copy(&dir.join("ledger"), &all.path().join("backup"));
    place.deny("b").expect("said");
    drop(place);
    let whole = all.path().join("whole");
    fs::rename(dir.join("ledger"), &whole).expect("moved");
    for ledger in ["backup", "nothing"] {
        let _ = fs::remove_dir_all(dir.join("ledger"));
        fs::create_dir_all(all.path().join("nothing")).expect("made");
        copy(&all.path().join(ledger), &dir.join("ledger"));
        let place = Place::open(&dir, false);
        assert!(matches!(place.deny("c"), Err(OwnError::Behind { signed: 2, .. })), "{ledger}");
    }
    fs::remove_dir_all(dir.join("ledger")).expect("removed");
    copy(&whole, &dir.join("ledger"));
    Place::open(&dir, false).deny("c").expect("the rest is there again");
}

#[test]
fn a_restored_directory_forks_and_is_joined() {
    let all = tempfile::tempdir().expect("a directory");
    let (dir, backup) = (all.path().join("now"), all.path().join("backup"));
    let place = Place::open(&dir, false);
    place.home.identities().create(NAME, &place.access).expect("made");
    place.allow("a").expect("said");
    // Nothing in the directory tells that it is not the newest.
    copy(&dir, &backup);
    place.deny("b").expect("said");
    let restored = Place::open(&backup, false);
    restored.deny("c").expect("said");
    restored.ledger.learn_from(&place.ledger);
    assert!(restored.may("a"), "from before the fork");
    assert!(!restored.may("b") && !restored.may("c"), "what both branches refuse is refused");
    assert!(matches!(restored.allow("d"), Err(OwnError::Forked { .. })));
    restored.deny("d").expect("a refusal needs no trust");
    restored.ledger.join_branches(&restored.speaker()).expect("joined");
    restored.allow("d").expect("said");
    restored.allow("b").expect("said");
    assert!(restored.may("b") && restored.may("d") && !restored.may("c"));
    let again = restored.ledger.join_branches(&restored.speaker());
    assert!(matches!(again, Err(OwnError::Refused(_))));
}

#[test]
fn the_root_key_is_nowhere_but_in_the_recovery_file() {
    let all = tempfile::tempdir().expect("a directory");
    let dir = all.path().join("now");
    let mut place = Place::open(&dir, true);
    place.home.identities().create(NAME, &place.access).expect("made");
    for _ in 0..2 {
        let full = place.speaker();
        let kept = fs::read_to_string(dir.join("identities").join(NAME)).expect("there");
        let away = fs::read_to_string(dir.join("recovery")).expect("there");
        for held in &full.ring.generations {
            let consent::RootKey::Here(root) = &held.root else { panic!("filled in") };
            let root = hex::encode(root.seed());
            assert!(away.contains(&root) && !kept.contains(&root));
        }
        rotate(&mut place.speaker(), &place.ledger, |_| ()).expect("rotated");
    }
    place.access.recovery = None;
    place.deny("a").expect("the daily key is enough");
    assert!(matches!(place.allow("a"), Err(OwnError::NoRoot(name)) if name == NAME));
    let mut speaker = place.speaker();
    let refused = rotate(&mut speaker, &place.ledger, |_| ());
    assert!(matches!(refused, Err(OwnError::NoRoot(_))));
}

#[test]
fn files_that_must_not_be_used_are_named() {
    let all = tempfile::tempdir().expect("a directory");
    let place = Place::open(&all.path().join("one"), false);
    let other = Place::open(&all.path().join("two"), false);
    let identities = place.home.identities();
    identities.create(NAME, &Access::default()).expect("made");
    let path = |place: &Place| place.home.dir().join("identities").join(NAME);
    fs::copy(path(&place), path(&other)).expect("copied");
    let copied = other.home.identities().open(NAME, &Access::default());
    assert!(matches!(copied, Err(IdentityError::Copied(_))));
    let sealed = Access { passphrase: Some(Passphrase::new("x")), recovery: None };
    assert!(matches!(identities.create(NAME, &sealed), Err(IdentityError::Exists(_))));
    identities.create("sealed", &sealed).expect("made");
    let open = |access: &Access| identities.open("sealed", access);
    assert!(matches!(open(&Access::default()), Err(IdentityError::Sealed(_))));
    let wrong = Access { passphrase: Some(Passphrase::new("y")), recovery: None };
    assert!(matches!(open(&wrong), Err(IdentityError::Passphrase(_))));
    assert!(open(&sealed).is_ok());
    assert!(matches!(identities.open("nobody", &wrong), Err(IdentityError::Unknown(_))));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let loose = fs::Permissions::from_mode(0o644);
        fs::set_permissions(path(&place), loose).expect("set");
        let refused = identities.open(NAME, &Access::default());
        assert!(matches!(refused, Err(IdentityError::Mode { mode: 0o644, .. })));
    }
}

#[test]
fn a_passphrase_is_changed_and_no_key_is() {
    let all = tempfile::tempdir().expect("a directory");
    let mut place = Place::open(all.path(), false);
    let identities = place.home.identities();
    let speaker = identities.create(NAME, &place.access).expect("made");
    let kept = || fs::read_to_string(all.path().join("identities").join(NAME)).expect("there");
    let (author, plain) = (speaker.author(), kept());
    place.deny("a").expect("said");
    for new in ["first", "second"] {
        let mut speaker = place.speaker();
        speaker.reseal(Some(Passphrase::new(new))).expect("sealed");
        let keys = plain.lines().find(|line| line.starts_with("keys ")).expect("keys");
        assert!(keys.split(' ').skip(1).all(|seed| !kept().contains(seed)), "{}", kept());
        let before = identities.open(NAME, &place.access);
        assert!(matches!(before, Err(IdentityError::Sealed(_) | IdentityError::Passphrase(_))));
        place.access.passphrase = Some(Passphrase::new(new));
        assert!(place.speaker().author() == author && place.speaker().is_sealed());
        place.allow("a").expect("the root key is still there");
    }
    let empty = place.speaker().reseal(Some(Passphrase::new("")));
    assert!(matches!(empty, Err(IdentityError::PassphraseLength)));
    place.speaker().reseal(None).expect("opened");
    assert_eq!(kept(), plain);
    let mut me = identities.open(crate::home::ME, &Access::default()).expect("usable");
    let refused = me.reseal(Some(Passphrase::new("x")));
    assert!(matches!(refused, Err(IdentityError::MeSealed)));
}

#[test]
fn what_a_crash_left_half_written_is_removed_and_nothing_else() {
    let all = tempfile::tempdir().expect("a directory");
    let place = Place::open(all.path(), false);
    let identities = place.home.identities();
    identities.create(NAME, &place.access).expect("made");
    place.deny("a").expect("said");
    let names = || {
        let entries = fs::read_dir(all.path().join("identities")).expect("there");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.collect::<BTreeSet<_>>()
    };
    let before = names();
    fs::write(all.path().join("identities/.tmpabc"), "keys").expect("written");
    identities.sweep().expect("swept");
    assert_eq!(names(), before);
    assert!(before.len() == 3, "two identities and a counter: {before:?}");
}
