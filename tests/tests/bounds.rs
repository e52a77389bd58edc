//! The bounds that `docs/protocol.md` lists are those of the code, and every bound it speaks of is
//! listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use protocol::limits;

/// Constants of `protocol::limits` by name.
macro_rules! bounds {
    ($($name:ident),* $(,)?) => {
        BTreeMap::from([$((stringify!($name), limits::$name.to_string())),*])
    };
}

fn bounds() -> BTreeMap<&'static str, String> {
    bounds! {
        ALIKE_MAX, ALIKE_MIN_MILLI, AUDITS_MAX, AUDIT_ROUNDS_MAX, HOLDOUT_SAMPLES_MAX, REPORT_BYTES_MAX,
        COMMITTEE_MIN, HARM_MIN_MICRO, KEEPERS, PARTIALS_PER_NODE_MAX, PARTIAL_BYTES_MAX, PRESENCE_ADDRESSES_MAX,
        SLATES_PER_STEWARD_MAX, SLATE_BYTES_MAX, SLATE_LIST_BYTES_MAX, SLICES_MAX, WHEREABOUTS_BYTES_MAX,
        RETRAINING_DISTANCE_MAX_MICRO, TRACE_BYTES_MAX, TRACE_SEGMENTS_MAX,
        CHANGES_MAX, EVIDENCE_BYTES_MAX, INVITATION_BYTES_MAX, MEMBERS_MAX, MOTIONS_PER_STEWARD_MAX,
        MOTION_BYTES_MAX, PROBATION_ROUNDS_MAX, PROOF_BYTES_MAX, ROSTER_BYTES_MAX, VOUCHES_MAX,
        AGREEMENT_ROUNDS_AHEAD_MAX, AGREE_WAIT_MAX_MS, BATCH_SAMPLES_MAX, CERTIFICATES_SENT_MAX,
        CERTIFICATE_BYTES_MAX, CLIP_ITERATIONS_MAX, COMMIT_BYTES_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX,
        DATA_ADDRESSES_MAX, DATA_ADDRESS_BYTES_MAX, DATA_CONNECTIONS_MAX, DENIAL_RECORDS_MAX,
        DIGEST_BUCKETS_MAX, FEEDS_ANSWERED_PER_HOUR, FEEDS_GOSSIPED_PER_HOUR, FEEDS_MAX,
        FEEDS_PER_BUCKET, FEED_RECORDS_MAX, FEED_RECORDS_PER_DAY, FILES_MAX, FRONTIER_BYTES_MAX,
        GENESIS_WORK_BITS, GOSSIP_BYTES_MAX, GOSSIP_VERDICT_MS, HEADS_MAX, HEADS_PER_REPO_MAX,
        HEAD_BYTES_MAX, HEAD_PARENTS_MAX, HELD_OUT_BYTES_MAX, IDLE_PAGES_MAX,
        LEARNING_RATE_MAX_MICRO, LIFTED_MAX, LOCAL_EPOCHS_MAX, LOCAL_STEPS_MAX, MANIFEST_BYTES_MAX,
        MODEL_CONFIG_BYTES_MAX, MOMENTUM_MAX_MICRO, NAMED_MAX, NAME_BYTES_MAX, NORM_MAX_MILLI,
        REMARK_BYTES_MAX, REMARK_TEXT_BYTES_MAX, ORIGIN_NAME_BYTES_MAX, ORIGIN_TERM_BYTES_MAX, OUTER_MOMENTUM_MAX_MILLI,
        OUTER_RATE_MAX_MILLI, OWN_MESSAGES_RESENT_MAX, PAGES_MAX, PAGE_ITEMS_MAX, PARAMETERS_MAX,
        PASSAGES_MAX, PASSAGE_WORKS_MAX, PATH_BYTES_MAX, PEER_BLOCK_MS, POLICY_BYTES_MAX,
        PRESENCE_BYTES_MAX, PROPOSAL_BYTES_MAX, PROPOSED_RECORDS_MAX, RECONCILES_MAX,
        RECORDS_ANSWERED_MAX, RECORDS_ANSWERED_PER_HOUR, RECORDS_GOSSIPED_PER_MINUTE,
        RECORDS_HELD_MAX, RECORDS_NAMED_MAX, RECORD_BYTES_MAX, RECORD_KIND_BYTES_MAX,
        REJECTIONS_MAX, REJECTIONS_WINDOW_MS, REQUEST_BYTES_MAX, REQUEST_TIMEOUT_MS,
        RESPONSE_BYTES_MAX, ROUNDS_MAX, ROUND_RECORD_BYTES_MAX, ROUND_WAIT_MIN_MS, RUNS_MAX,
        RUN_SPEC_BYTES_MAX, SHARDS_MAX, SHARD_BYTES_MAX, SIMILAR_PER_FEED_MAX, STEWARDS_MAX,
        SUBJECTS_BYTES_MAX, SUBJECTS_MAX, TENSORS_MAX, TENSOR_DIMENSIONS_MAX, TENSOR_NAME_BYTES_MAX,
        TRAINERS_INVITED_MAX, TRAINERS_PRESENT_MAX, TRAIN_WAIT_MAX_MS, UPDATES_MAX, URI_BYTES_MAX,
        VOTE_BYTES_MAX, WANTS_MAX, WEIGHTS_HEADER_BYTES_MAX, WEIGHT_MAX, WITNESSES_MAX,
    }
}

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    fs::read_to_string(path).expect("the document is there")
}

/// The names in a text that look like a bound's.
fn names(text: &str) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |name: &&str| {
        let marked = ["_MAX", "_MIN", "_MS"].iter().any(|mark| name.contains(mark));
        marked && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(is_name).collect()
}

#[test]
fn the_table_of_bounds_says_what_the_code_does() {
    let (text, bounds) = (document(), bounds());
    let mut listed = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let [_, left, right, ..] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        let row: Vec<&str> = left.split(", ").map(|name| name.trim().trim_matches('`')).collect();
        if !row.iter().all(|name| bounds.contains_key(name)) {
            assert!(names(left).is_empty(), "{line}: no such bound");
            continue;
        }
        let values: Vec<&str> = right.trim().split(", ").collect();
        let expected: Vec<&str> = row.iter().map(|name| bounds[name].as_str()).collect();
        assert_eq!(values, expected, "{line}");
        listed.extend(row);
    }
    let all: BTreeSet<&str> = bounds.keys().copied().collect();
    assert_eq!(listed, all, "each bound has one row");
    let strangers: Vec<&str> = names(&text).difference(&listed).copied().collect();
    assert!(strangers.is_empty(), "spoken of and not listed: {strangers:?}");
}
