//! Every bound on what a peer, a file or a user may make us hold, each with its reason.
//!
//! Invariants: sizes in bytes, times in milliseconds; relations between bounds are checked at
//! compile time below. What it is not: tuning. A run's own settings are in `run::RunSpec`.

/// Stewards in a run: agreement sends every vote to every steward.
pub const STEWARDS_MAX: usize = 64;
/// Updates accepted in one round; keeps the aggregate's sums exact.
pub const UPDATES_MAX: usize = 512;
/// The most one update may weigh, whatever its trainer says of its samples; same reason.
pub const WEIGHT_MAX: u64 = 1 << 14;
/// Rounds in a run: years of rounds, and a certificate chain that can still be walked.
pub const ROUNDS_MAX: u64 = 1_000_000;
/// The shortest time, in milliseconds, that a run may give a round or a step of agreement.
pub const ROUND_WAIT_MIN_MS: u64 = 10;
/// The longest time that a round may wait for its trainers: a month on machines that come and go.
pub const TRAIN_WAIT_MAX_MS: u64 = 30 * 24 * 3_600_000;
/// The longest first timeout of a step of agreement: an hour, for stewards who are rarely there.
pub const AGREE_WAIT_MAX_MS: u64 = 3_600_000;
/// The longest norm that a run may let an update have, in thousandths: beyond it nothing is clipped.
pub const NORM_MAX_MILLI: u64 = 1_000_000_000;
/// How often the centre of centred clipping may move: it stands still after a few times.
pub const CLIP_ITERATIONS_MAX: u32 = 16;
/// The largest outer learning rate, in thousandths; steps ten times the mean do not converge.
pub const OUTER_RATE_MAX_MILLI: u32 = 10_000;
/// The largest outer momentum, in thousandths: below one, or the model never comes to rest.
pub const OUTER_MOMENTUM_MAX_MILLI: u32 = 999;
/// The largest learning rate, in millionths; same reason as the outer one, and rates vary more.
pub const LEARNING_RATE_MAX_MICRO: u32 = 100_000_000;
/// The largest momentum of a trainer's own steps, in millionths: below one.
pub const MOMENTUM_MAX_MICRO: u32 = 999_999;
/// A held-out table that a run shares, in bytes: everyone who evaluates fetches and reads it.
pub const HELD_OUT_BYTES_MAX: u64 = 256 << 20;
/// Parameters of a model trained by int8 updates in one piece (an update of about 1 GiB).
pub const PARAMETERS_MAX: usize = 1 << 30;
/// Tensors in a weights file.
pub const TENSORS_MAX: usize = 65_536;
/// Length of a tensor's name in bytes.
pub const TENSOR_NAME_BYTES_MAX: usize = 256;
/// Dimensions of a tensor.
pub const TENSOR_DIMENSIONS_MAX: usize = 8;
/// A safetensors header in bytes; the format's own readers stop at 100 MB, hub clients at 25 MB.
pub const WEIGHTS_HEADER_BYTES_MAX: usize = 25_000_000;
/// A message that travels by gossip, in bytes: the largest is a certificate; nothing else comes near.
pub const GOSSIP_BYTES_MAX: usize = CERTIFICATE_BYTES_MAX + 1_024;
/// A `RunSpec`'s envelope in bytes: 64 stewards and the text fields fit many times over.
pub const RUN_SPEC_BYTES_MAX: usize = 32_768;
/// Trainers that a `RunSpec` invites by name; more fit no envelope.
pub const TRAINERS_INVITED_MAX: usize = 512;
/// A consent policy inside a `RunSpec`, in bytes.
pub const POLICY_BYTES_MAX: u64 = 4_096;
/// A presence's envelope in bytes.
pub const PRESENCE_BYTES_MAX: usize = 640;
/// Socket addresses in a presence: of each network that a node is in one or two.
pub const PRESENCE_ADDRESSES_MAX: usize = 6;
/// An update commit's envelope in bytes.
pub const COMMIT_BYTES_MAX: usize = 4_096;
/// A round record in bytes: `UPDATES_MAX` accepted and as many rejected, by hash, and what audits found.
pub const ROUND_RECORD_BYTES_MAX: usize = 229_376;
/// A proposal's envelope in bytes: a round record and little else.
pub const PROPOSAL_BYTES_MAX: usize = ROUND_RECORD_BYTES_MAX + 1_024;
/// A vote's envelope in bytes.
pub const VOTE_BYTES_MAX: usize = 1_024;
/// An invitation's envelope in bytes; it travels inside a commit.
pub const INVITATION_BYTES_MAX: usize = 512;
/// A motion's envelope in bytes.
pub const MOTION_BYTES_MAX: usize = 512;
/// What shows that a steward lies, in bytes: it travels by gossip. Of proposals longer than half of
/// it no proof is made.
pub const EVIDENCE_BYTES_MAX: usize = CERTIFICATE_BYTES_MAX;
/// The proof of a change, in bytes: such evidence, or a motion of every steward.
pub const PROOF_BYTES_MAX: usize = EVIDENCE_BYTES_MAX;
/// Changes in one record: every steward but one dismissed, and a motion.
pub const CHANGES_MAX: usize = STEWARDS_MAX;
/// Trainers whose standing a run remembers.
pub const MEMBERS_MAX: usize = 65_536;
/// A roster in bytes: every steward and every member.
pub const ROSTER_BYTES_MAX: usize = 16 << 20;
/// Trainers that one voucher may bring into a run, as a spec may say.
pub const VOUCHES_MAX: u32 = 4_096;
/// Updates that must have counted before a trainer has its full weight, as a spec may say.
pub const PROBATION_ROUNDS_MAX: u32 = 1_000;
/// Audits of work in one round, as a spec may say; also the reports that one record names.
pub const AUDITS_MAX: u32 = 64;
/// Rounds after which nobody asks any more what an audit found: where rounds are quick, audits take many.
pub const AUDIT_ROUNDS_MAX: u64 = 64;
/// Samples on which one audit evaluates an update: enough to tell good from bad, few enough not to be felt.
pub const HOLDOUT_SAMPLES_MAX: u64 = 256;
/// The rise of a loss, in millionths of a nat, from which an audit calls it harm: where a model fits its data,
/// honest updates move the loss by less; what is hostile moves it by more (docs/benchmarks.md).
pub const HARM_MIN_MICRO: u64 = 1_000;
/// Segments of a trace.
pub const TRACE_SEGMENTS_MAX: u32 = 64;
/// A trace in bytes.
pub const TRACE_BYTES_MAX: usize = 4_096;
/// How far training again may end from what a trainer has shown, in millionths of how far it moved: floats
/// of two machines come within a thousandth, another training nowhere near.
pub const RETRAINING_DISTANCE_MAX_MICRO: u32 = 50_000;
/// Slices into which a round may be cut: enough for a thousand trainers, and few enough to draw all triples in
/// a blink.
pub const SLICES_MAX: u32 = 256;
/// Trainers that work out one slice.
pub const TRIPLE: usize = 3;
/// Trainers that keep an update of a round that was cut, beside its own.
pub const KEEPERS: usize = 3;
/// Trainers that there must be for a round to be cut: fewer would be the same three for every slice.
pub const COMMITTEE_MIN: usize = 5;
/// A slate's envelope in bytes.
pub const SLATE_BYTES_MAX: usize = 512;
/// Slates of one steward in one round that a trainer works on.
pub const SLATES_PER_STEWARD_MAX: usize = 4;
/// What counts according to a slate, in bytes: no more than a record says of it.
pub const SLATE_LIST_BYTES_MAX: usize = ROUND_RECORD_BYTES_MAX;
/// A partial's envelope in bytes: `SLICES_MAX` slices by hash.
pub const PARTIAL_BYTES_MAX: usize = 49_152;
/// Partials of one node in one round that a steward keeps.
pub const PARTIALS_PER_NODE_MAX: usize = 16;
/// A report's envelope in bytes.
pub const REPORT_BYTES_MAX: usize = 1_024;
/// The cosine, in thousandths, from which two updates of a round are named as alike: those of honest
/// trainers stay below it even where all have like data (docs/benchmarks.md), copies with a third of noise do
/// not.
pub const ALIKE_MIN_MILLI: u32 = 950;
/// Pairs of alike updates that a record names; the most alike, if there are more.
pub const ALIKE_MAX: usize = 64;
/// Motions of one steward that a node keeps at once.
pub const MOTIONS_PER_STEWARD_MAX: usize = 8;
/// A certificate in bytes: a round record and one signature of each steward.
pub const CERTIFICATE_BYTES_MAX: usize = ROUND_RECORD_BYTES_MAX + STEWARDS_MAX * VOTE_BYTES_MAX;
/// Agreement rounds ahead of ours for which a steward keeps votes; bounds a liar's memory cost.
pub const AGREEMENT_ROUNDS_AHEAD_MAX: u32 = 32;
/// Messages of its own that a steward says again until a round is certified.
pub const OWN_MESSAGES_RESENT_MAX: usize = 64;
/// Records proposed in one round that a steward keeps, and proposals of one that wait for it.
pub const PROPOSED_RECORDS_MAX: usize = 128;
/// Rounds in one answer of the local API.
pub const CERTIFICATES_LISTED_MAX: usize = 64;
/// Certificates in one answer to a node that catches up.
pub const CERTIFICATES_SENT_MAX: usize = 16;
/// Trainers whose presence in a run is remembered.
pub const TRAINERS_PRESENT_MAX: usize = 4_096;
/// Feeds in a ledger and in a frontier: some 300 bytes of memory each, and a round's frontier, which
/// every steward fetches, stays below 30 MB.
pub const FEEDS_MAX: usize = 1 << 18;
/// A frontier in bytes.
pub const FRONTIER_BYTES_MAX: usize = FEEDS_MAX * 160;
/// Files in a revision.
pub const FILES_MAX: usize = 100_000;
/// Shards in a revision.
pub const SHARDS_MAX: usize = 1_000_000;
/// A path within a repo, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// A manifest in bytes.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// A shard in bytes: the unit of transfer, storage and reuse.
pub const SHARD_BYTES_MAX: u64 = 64 << 20;
/// A repo head's envelope in bytes.
pub const HEAD_BYTES_MAX: usize = 2_048;
/// Revisions that a head names as where it comes from.
pub const HEAD_PARENTS_MAX: usize = 16;
/// Heads of one repo that are kept, the newest: revisions to go back to, not a way to fill a disk.
pub const HEADS_PER_REPO_MAX: usize = 256;
/// Heads of other people's repos that are kept, on disk and in memory (at most 256 MiB).
pub const HEADS_MAX: usize = 131_072;
/// Runs whose announcement is kept (at most 320 MiB).
pub const RUNS_MAX: usize = 10_000;
/// Names of owners, repos and runs, in bytes; what Hugging Face clients accept.
pub const NAME_BYTES_MAX: usize = 96;
/// A consent record's envelope in bytes: well inside a gossip message, and a public log's tile entry
/// has a 16-bit length.
pub const RECORD_BYTES_MAX: usize = 16_384;
/// A record's kind in bytes: a short word.
pub const RECORD_KIND_BYTES_MAX: usize = 32;
/// How long an opt-in may be asked to hold, in days: two years, the most that a run counts if it does
/// not say.
pub const OPT_IN_DAYS_MAX: u64 = 730;
/// Subjects in one statement: that many content ids and an origin fit a record.
pub const SUBJECTS_MAX: usize = 256;
/// Subjects in one statement in bytes: that many and an origin fit a record.
pub const SUBJECTS_BYTES_MAX: usize = 12_288;
/// Fingerprints of passages in one subject: 8 KiB of them.
pub const PASSAGES_MAX: usize = 1_024;
/// A link to terms in bytes.
pub const URI_BYTES_MAX: usize = 1_024;
/// Things that a delegation, an attestation, a dispute or a reconcile names: they fit a record.
pub const NAMED_MAX: usize = 128;
/// Text for people in a remark, in bytes.
pub const REMARK_TEXT_BYTES_MAX: usize = 2_048;
/// A remark with its text, its author and its salt, in bytes.
pub const REMARK_BYTES_MAX: usize = REMARK_TEXT_BYTES_MAX + 128;
/// The work that begins a feed, in bits: about a second of one core.
pub const GENESIS_WORK_BITS: u32 = 24;
/// Subjects by likeness that count of one feed: each makes every search longer.
pub const SIMILAR_PER_FEED_MAX: u32 = 65_536;
/// Witnesses that a policy names; they fit its bytes.
pub const WITNESSES_MAX: usize = 64;
/// Times that a feed's branches may be joined: each looks at the whole feed.
pub const RECONCILES_MAX: usize = 64;
/// Records that one lift may end: that many record ids fit a record.
pub const LIFTED_MAX: usize = 256;
/// The name of an outside scheme, or of its version, in bytes.
pub const ORIGIN_NAME_BYTES_MAX: usize = 64;
/// Peers that are asked at once for a remark that is not here.
pub const REMARK_PEERS_MAX: usize = 16;
/// An outside term, verbatim, in bytes: it fits a remark.
pub const ORIGIN_TERM_BYTES_MAX: usize = REMARK_TEXT_BYTES_MAX;
/// Records in one feed, all branches together: a record a minute for two years.
pub const FEED_RECORDS_MAX: usize = 1 << 20;
/// Records held until the one before them arrives (at most 32 MiB); more are asked for again.
pub const RECORDS_HELD_MAX: usize = 2_048;
/// Records named in one denial: enough to show why, whatever was piled on a work.
pub const DENIAL_RECORDS_MAX: usize = 16;
/// A record of a table in bytes, its line ends included: 65,536 columns of 16 characters.
pub const TABLE_RECORD_BYTES_MAX: usize = 1 << 20;
/// Columns of a table.
pub const TABLE_COLUMNS_MAX: usize = 65_536;
/// Rows of a table that is held in memory.
pub const TABLE_ROWS_MAX: usize = 16 << 20;
/// Numbers of a table that is held in memory: 2 GiB of them.
pub const TABLE_NUMBERS_MAX: usize = 1 << 29;
/// Classes that a model tells apart.
pub const CLASSES_MAX: usize = 65_536;
/// Hidden layers of an `mlp`: deeper ones do not train without tricks that it does not have.
pub const HIDDEN_LAYERS_MAX: usize = 32;
/// Units of one hidden layer.
pub const HIDDEN_UNITS_MAX: usize = 65_536;
/// A model's `config.json` in bytes: every column and class by name.
pub const MODEL_CONFIG_BYTES_MAX: usize = 16 << 20;
/// Passes over the data in one round; a round that long would never be fetched in time.
pub const LOCAL_EPOCHS_MAX: u32 = 10_000;
/// Steps of one trainer in one round: days of training.
pub const LOCAL_STEPS_MAX: u32 = 10_000_000;
/// Samples of one training step.
pub const BATCH_SAMPLES_MAX: usize = 1 << 20;

/// A request between two nodes in bytes: a page of ids or a proposal, several times over.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// A response between two nodes in bytes: several certificates or a page of records.
pub const RESPONSE_BYTES_MAX: usize = 8 << 20;
/// How long a request may take, answer included.
pub const REQUEST_TIMEOUT_MS: u64 = 20_000;
/// Items looked at for one answer; its bytes are bounded by `RESPONSE_BYTES_MAX`.
pub const PAGE_ITEMS_MAX: usize = 4_096;
/// Pages asked of one peer in one meeting; the next meeting goes on.
pub const PAGES_MAX: u64 = 1_024;
/// Messages of runs whose passing on is remembered (some 4 MiB).
pub const MESSAGES_REMEMBERED_MAX: usize = 65_536;
/// Requests open at once on one connection, per protocol and direction.
pub const REQUESTS_PER_CONNECTION_MAX: usize = 32;
/// Requests of ours that wait for an answer.
pub const REQUESTS_PENDING_MAX: usize = 1_024;
/// Requests of peers that wait for our answer; each may hold `REQUEST_BYTES_MAX`.
pub const REPLIES_PENDING_MAX: usize = 256;
/// Network events that wait for the node; beyond, gossip and requests are shed.
pub const NET_EVENTS_MAX: usize = 1_024;
/// Commands of the node that wait for the network.
pub const NET_COMMANDS_MAX: usize = 256;
/// Connections of the control plane, both directions together.
pub const CONNECTIONS_MAX: u32 = 512;
/// Connections of the control plane that are still being set up, per direction.
pub const CONNECTIONS_PENDING_MAX: u32 = 128;
/// Connections of the control plane to one peer: TCP and QUIC, each way.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// The beat at which gossip repairs its mesh and offers missed messages.
pub const GOSSIP_HEARTBEAT_MS: u64 = 500;
/// How long a gossip message waits for its verdict before it is ignored.
pub const GOSSIP_VERDICT_MS: u64 = 10_000;
/// Gossip messages that wait for a verdict; each may hold `GOSSIP_BYTES_MAX`.
pub const GOSSIP_VERDICTS_MAX: usize = 1_024;
/// Rejected messages within `REJECTIONS_WINDOW_MS` after which a peer is dropped.
pub const REJECTIONS_MAX: u32 = 8;
/// The window in which rejected messages of a peer add up.
pub const REJECTIONS_WINDOW_MS: u64 = 600_000;
/// How long a dropped peer stays blocked: long enough to hurt, short enough for a fixed node.
pub const PEER_BLOCK_MS: u64 = 600_000;
/// Peers whose offences are remembered.
pub const OFFENDERS_MAX: usize = 4_096;
/// Peers and addresses that a node keeps dialling.
pub const DIAL_TARGETS_MAX: usize = 256;
/// Addresses kept for one peer.
pub const DIAL_ADDRESSES_MAX: usize = 8;
/// The pause before a peer is dialled again; doubles with each failure.
pub const DIAL_PAUSE_MIN_MS: u64 = 500;
/// The longest pause between two attempts to dial.
pub const DIAL_PAUSE_MAX_MS: u64 = 30_000;
/// Keys that a node announces in the hash table; heads and base files, not every shard.
pub const PROVIDED_KEYS_MAX: usize = 1_024;
/// Providers kept and returned for one key of the hash table.
pub const PROVIDERS_PER_KEY_MAX: usize = 20;
/// How long a search for providers may take.
pub const PROVIDERS_TIMEOUT_MS: u64 = 10_000;
/// What one node knows of where another's data plane is, in bytes.
pub const WHEREABOUTS_BYTES_MAX: usize = 640;
/// Nodes of which others said where their data plane is: the trainers of a few runs.
pub const SUGGESTED_MAX: usize = 16_384;
/// Socket addresses in what a node says of its data plane.
pub const DATA_ADDRESSES_MAX: usize = 16;
/// What a node says of its data plane, in bytes.
pub const DATA_ADDRESS_BYTES_MAX: usize = 2_048;
/// How long a peer may take to say where its data plane is.
pub const DATA_ADDRESS_TIMEOUT_MS: u64 = 5_000;
/// Connections that the data plane serves at once.
pub const DATA_CONNECTIONS_MAX: usize = 256;
/// Connections that the data plane serves to one peer at once, so that none can hold them all.
pub const DATA_CONNECTIONS_PER_PEER_MAX: usize = 16;
/// How long connecting to a peer's data plane may take.
pub const DATA_CONNECT_TIMEOUT_MS: u64 = 5_000;
/// How long a transfer may stand still before the next provider is tried.
pub const DATA_STALL_TIMEOUT_MS: u64 = 5_000;
/// Blobs fetched at once.
pub const FETCHES_MAX: usize = 16;
/// Providers whose speed and faults are remembered.
pub const PROVIDERS_REMEMBERED_MAX: usize = 4_096;
/// A request to the local API in bytes: paths, and the text of a run's spec file.
pub const API_REQUEST_BYTES_MAX: usize = 1 << 20;
/// A line of the local API's answers in bytes: a run's whole history, for years of rounds.
pub const API_LINE_BYTES_MAX: usize = 256 << 20;
/// Progress of one local request that waits for a slow reader; what comes on top is dropped.
pub const API_PROGRESS_MAX: usize = 64;
/// How long the local API waits at its end for readers of answers under way.
pub const API_STOP_TIMEOUT_MS: u64 = 2_000;
/// Entries of a log: what fits a signed 64-bit number, as other implementations count.
pub const LOG_SIZE_MAX: u64 = i64::MAX as u64;
/// An entry of a log in bytes: a consent record; a tile's entries have a 16-bit length.
pub const LOG_ENTRY_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// Hashes of an inclusion or consistency proof: one for each level of the largest log.
pub const LOG_PROOF_HASHES_MAX: usize = 63;
/// Names of logs and witnesses, in bytes: the newer cosignatures give them a length of one byte.
pub const LOG_NAME_BYTES_MAX: usize = 255;
/// Signatures of a note: four times what every reader must take.
pub const LOG_NOTE_SIGNATURES_MAX: usize = 64;
/// A signed note in bytes: 36 post-quantum signatures of 5 kB in base64 and more.
pub const LOG_NOTE_BYTES_MAX: usize = 1 << 18;
/// A request to a witness in bytes: a proof's hashes in base64, and a note.
pub const LOG_WITNESS_REQUEST_BYTES_MAX: usize = LOG_NOTE_BYTES_MAX + 4_096;
/// Logs that a witness follows; their latest checkpoints are held in memory.
pub const LOG_WITNESSED_MAX: usize = 4_096;
/// Keys of one log, so that it can change them.
pub const LOG_KEYS_MAX: usize = 8;
/// What a proof file carries beside the proof, in bytes: a consent record fits.
pub const LOG_PROOF_EXTRA_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// A proof file in bytes: the hashes, a note, and the extra data in base64.
pub const LOG_PROOF_BYTES_MAX: usize =
    LOG_NOTE_BYTES_MAX + 4_096 + LOG_PROOF_EXTRA_BYTES_MAX / 3 * 4 + 8;
/// A log policy's file in bytes.
pub const LOG_POLICY_BYTES_MAX: usize = 1 << 16;
/// Logs, witnesses and groups of a log policy, each: eight times what every reader should take.
pub const LOG_POLICY_NAMES_MAX: usize = 256;
/// Entries of a verifiable map (some 7 GiB of memory).
pub const MAP_ENTRIES_MAX: usize = 1 << 26;
/// Steps of a map's proof: the bits of a position.
pub const MAP_PROOF_STEPS_MAX: usize = 256;
/// A picture's file that is fingerprinted, in bytes: a large photograph without loss.
pub const IMAGE_BYTES_MAX: usize = 64 << 20;
/// Pixels of a picture that is fingerprinted: the largest cameras have as many.
pub const IMAGE_PIXELS_MAX: u64 = 100_000_000;
/// The longest side of such a picture; JPEG's own limit, and what a filter's rows take stays small.
pub const IMAGE_SIDE_MAX: u32 = 65_535;
/// Memory that decoding one picture may take: `IMAGE_PIXELS_MAX` of a progressive JPEG, or of 8 bytes.
pub const IMAGE_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// A place in bytes: URLs longer than this are not served by anyone.
pub const PLACE_BYTES_MAX: usize = 4_096;
/// A robots.txt or ai.txt in bytes: what RFC 9309 asks crawlers to read at least.
pub const ROBOTS_BYTES_MAX: usize = 500 << 10;
/// A header field with terms in bytes, its lines joined.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// A page whose `meta` elements are read, in bytes.
pub const HTML_BYTES_MAX: usize = 16 << 20;
/// `meta` elements of one page.
pub const HTML_METAS_MAX: usize = 4_096;
/// A JSON, CBOR or XML document with terms in bytes.
pub const TERMS_DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Rules in one such document.
pub const TERMS_RULES_MAX: usize = 16_384;
/// How deep its elements may nest: readers of trees recurse.
pub const TERMS_DEPTH_MAX: usize = 64;
/// A list of accounts and repositories in bytes: a million lines.
pub const OPT_OUT_LIST_BYTES_MAX: usize = 64 << 20;
/// Accounts and repositories in one list.
pub const OPT_OUT_LIST_ENTRIES_MAX: usize = 1 << 20;
/// Metadata of one picture in bytes, its pieces joined.
pub const IMAGE_METADATA_BYTES_MAX: usize = 16 << 20;
/// Boxes looked at in one picture's content credentials.
pub const IMAGE_BOXES_MAX: usize = 65_536;

const _: () = assert!(LOG_ENTRY_BYTES_MAX <= u16::MAX as usize, "an entry fits a tile");
/// A text in bytes, after ISO 24138's collapse, that is given a text code: the longest novels are
/// half of it, and computing one takes some 32 times its size in memory.
pub const TEXT_CODE_BYTES_MAX: usize = 8 << 20;
/// Characters that a text must have for a text code, after the same collapse: some twenty words.
/// Shorter ones are phrases that many people write.
pub const TEXT_CODE_CHARS_MIN: usize = 100;
/// Distinct 13-grams that it must have: what repeats itself matches all that repeats the same.
pub const TEXT_CODE_GRAMS_MIN: usize = 64;
/// Passage fingerprints of one subject: 8 KiB of them, half a record.
pub const PASSAGES_PER_SUBJECT_MAX: usize = 1_024;
/// Works for which one passage fingerprint counts, those registered first: what more hold is common
/// wording, and must not make a query dear.
pub const PASSAGE_WORKS_MAX: usize = 64;
/// Passage fingerprints in one index (3.4 GB of them).
pub const PASSAGE_INDEX_MAX: usize = 1 << 28;
/// An audio file in bytes: 50 minutes of CD sound as it is, a day as MP3.
pub const AUDIO_BYTES_MAX: usize = 512 << 20;
/// Samples of one recording, all channels together: three hours of stereo at 48 kHz, and half a
/// minute of decoding whatever the file.
pub const AUDIO_SAMPLES_MAX: u64 = 1 << 30;
/// Seconds of one recording: six hours, 175,000 features.
pub const AUDIO_SECONDS_MAX: u64 = 6 * 3_600;
/// The lowest sample rate of a recording in hertz: below twice 2 kHz there is too little to hear.
pub const AUDIO_RATE_MIN_HZ: u32 = 4_000;
/// The highest sample rate of a recording in hertz, as studios go.
pub const AUDIO_RATE_MAX_HZ: u32 = 384_000;
/// Channels of a recording: 7.1, and 16 for what FLAC cannot hold.
pub const AUDIO_CHANNELS_MAX: usize = 16;
/// Chromaprint features that a recording must have for an audio code: five seconds.
pub const AUDIO_FEATURES_MIN: usize = 20;
/// Distinct ones among them: silence has one, a held tone few.
pub const AUDIO_FEATURES_DISTINCT_MIN: usize = 16;
/// An identity's file in bytes: a thousand rotations.
pub const IDENTITY_BYTES_MAX: u64 = 1 << 20;
/// Rotations of one identity: each of its later feeds repeats them.
pub const ROTATIONS_MAX: usize = 1_024;
/// A passphrase in bytes: several lines of a poem.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;
/// Memory that opening a sealed identity may take, in KiB.
pub const SEAL_MEMORY_MAX_KIB: u32 = 1 << 20;
/// Passes over that memory.
pub const SEAL_PASSES_MAX: u32 = 16;
/// Lanes of it.
pub const SEAL_LANES_MAX: u32 = 16;
/// Records that one answer about records lists.
pub const RECORDS_LISTED_MAX: usize = 1_000;

/// Buckets by which one ledger's heads are compared with another's: 64 KiB of digests.
pub const DIGEST_BUCKETS_MAX: usize = 4_096;
/// Feeds in a bucket as long as there are buckets: each that differs costs the heads of its bucket.
pub const FEEDS_PER_BUCKET: usize = 32;
/// Feeds of which one question wants records; they fit a question with one record named of each.
pub const WANTS_MAX: usize = 2_048;
/// Records that the asker names as held of one feed: ends of branches, and others ever further down.
pub const RECORDS_NAMED_MAX: usize = 64;
/// Records looked at for one answer: every branch of the longest feed, twice.
pub const RECORDS_LOOKED_AT_MAX: usize = 2 * FEED_RECORDS_MAX;
/// Records behind up to which a feed is caught up with before longer ones: a person's, not a flood.
pub const SHORT_GAP_MAX: u64 = 1_024;
/// Pages of one feed in a row without news after which it is left; twice as many of all feeds end a
/// meeting. Where branches part a quarter of the distance comes again, of the longest feed 64 pages.
pub const IDLE_PAGES_MAX: u32 = 64;
/// New feeds that one peer may bring by gossip in an hour; each took its maker a second of work, and
/// what is too much comes by other peers, or when it is asked for.
pub const FEEDS_GOSSIPED_PER_HOUR: u64 = 1_024;
/// Records that one peer may bring by gossip in a minute: a hundred a second, two cores verify a
/// hundred times as many.
pub const RECORDS_GOSSIPED_PER_MINUTE: u64 = 6_000;
/// New feeds that one peer may bring in an hour by answering: an eighth of what a ledger holds, so
/// that filling one takes many peers or a long day, and an empty node is not kept waiting.
pub const FEEDS_ANSWERED_PER_HOUR: u64 = FEEDS_MAX as u64 / 8;
/// Records that one peer may bring at once by answering: a year of a large network (some 2 GB).
pub const RECORDS_ANSWERED_MAX: u64 = 1 << 22;
/// Records that one peer may bring in an hour by answering, once it has brought so many.
pub const RECORDS_ANSWERED_PER_HOUR: u64 = 1 << 20;
/// Records of one feed that are passed on in a day: a record every 20 seconds. Further ones are
/// kept, and others ask for them.
pub const FEED_RECORDS_PER_DAY: u64 = 4_096;
/// Peers and feeds, each, whose quotas are remembered (some 8 MiB).
pub const QUOTAS_MAX: usize = 1 << 16;
/// A proof file in bytes: the largest frontier, and a chain of records.
pub const PROOF_FILE_BYTES_MAX: usize = FRONTIER_BYTES_MAX + (64 << 20);
/// Records from the one meant to its feed's head in one proof.
pub const PROOF_CHAIN_MAX: usize = 16_384;
/// Rounds that changed the stewards in one proof.
pub const PROOF_HANDOVERS_MAX: usize = 256;
/// Lists of used and excluded works that a trainer keeps so that it can prove what it left out, in
/// bytes; the oldest go first.
pub const DATA_LISTS_BYTES_MAX: u64 = 4 << 30;
/// How often a log looks for new records, which is how often it signs at most.
pub const LOG_PUBLISH_EVERY_MS: u64 = 1_000;
/// Entries that a log takes in before it signs.
pub const LOG_APPEND_MAX: usize = 65_536;
/// How long a witness may take to answer.
pub const WITNESS_TIMEOUT_MS: u64 = 5_000;
/// Witnesses of one log.
pub const LOG_WITNESSES_MAX: usize = 32;
/// Pieces of evidence against logs that a witness keeps.
pub const WITNESS_EVIDENCE_MAX: usize = 1_024;

const _: () = assert!(
    PROPOSED_RECORDS_MAX > 2 * (AGREEMENT_ROUNDS_AHEAD_MAX as usize + 1),
    "two proposals of every attempt that is taken have room"
);
const _: () = assert!(CERTIFICATE_BYTES_MAX < 1 << 20, "a certificate fits one response");
const _: () = assert!(
    127 * ((1i64 << 24) + UPDATES_MAX as i64) < i32::MAX as i64,
    "the factors of a block times the largest bytes fit 32 bits"
);
const _: () =
    assert!(127 * UPDATES_MAX as u64 * (1 << 32) < 1 << 53, "a sum of values is exact in a double");
/// Files of one opt-out above which they are named as one collection: that many content ids are
/// four records.
pub const WORKS_NAMED_MAX: usize = 1_000;
/// Works of one collection (a list of 128 MiB).
pub const COLLECTION_WORKS_MAX: u64 = 4 << 20;
/// Works of all collections together whose lists a node keeps (some 2 GiB of memory).
pub const COLLECTIONS_WORKS_MAX: u64 = 32 << 20;
/// Lists of collections that a node looks for at once; the next come when these are here.
pub const LISTS_WANTED_MAX: usize = 64;
/// Parts of one text's passages that an opt-out names, those of the least fingerprints: all of a
/// novel's, and an even sample of what is longer.
pub const PASSAGE_PARTS_NAMED_MAX: usize = 16;
/// The footer of a Parquet file in bytes: a hundred thousand pieces of columns. What is made of it takes
/// some twenty times as much.
pub const TABLE_FOOTER_BYTES_MAX: u64 = 16 << 20;
/// The pages of a Parquet file that are held at one time, with what is made of them, in bytes: as much
/// as decoding one picture takes.
pub const TABLE_PAGES_BYTES_MAX: u64 = 1 << 30;
/// Elements of lists in those pages.
pub const TABLE_LEVELS_MAX: u64 = 8 << 20;
/// A row of a Parquet file in bytes: a picture, and 4 MiB of what is said of it.
pub const TABLE_ROW_BYTES_MAX: usize = 68 << 20;
/// A line of a JSON Lines file in bytes: a row may hold a picture in base64.
pub const JSON_LINE_BYTES_MAX: usize = 16 << 20;
/// A text in bytes that is compared by its passages.
pub const TEXT_BYTES_MAX: usize = 64 << 20;
/// Items of a scan that are read, or decided on under one lock of the ledger, at once: some
/// milliseconds.
pub const SCAN_BATCH_ITEMS: usize = 4_096;
/// For how many of them an item counts that may be like others: finding those takes as much longer.
pub const SCAN_BATCH_ALIKE: usize = 16;
/// The same in bytes of rows.
pub const SCAN_BATCH_BYTES_MAX: usize = 32 << 20;
/// One item of a scan between its passes, in bytes: the fingerprints of the longest text.
pub const SCAN_ITEM_BYTES_MAX: usize = 64 << 20;
/// Refused items, unreadable files and the like that an answer lists; all are counted.
pub const SCAN_LISTED_MAX: usize = 100;
/// A policy file in bytes.
pub const POLICY_FILE_BYTES_MAX: usize = 64 << 10;
