//! What a node does with packets.
//!
//! Invariants: bytes are taken by their hash, certificates were opened by the checker. What it is
//! not: the round's judgement on messages.

use std::sync::Arc;

use consent::{Admitted, Inserted, Record};
use protocol::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATES_SENT_MAX};
use protocol::round::{Certificate, Input, RunMessage};
use protocol::{FileHash, Signed, codec};

use super::bus::{Bus, Outcome};
use super::byzantine::Lie;
use super::node::Node;
use super::packet::Packet;
use super::report::{Rule, Violation};
use super::scenario::Defect;

/// Records in one answer.
const RECORDS_SENT_MAX: usize = 4;
/// Peers that a new record is passed on to.
const RECORD_PEERS: usize = 2;

impl Node {
    /// A packet has arrived.
    pub(super) fn receive(&mut self, bus: &mut Bus, from: usize, packet: Packet) -> Outcome {
        match packet {
            Packet::Run(message) => self.hear(bus, (*message).clone()),
            Packet::Wire(bytes) => match bus.opened.message(&self.facts, &bytes) {
                Some(message) => self.hear(bus, (*message).clone()),
                None => {
                    bus.counts.note("message that does not open");
                    Ok(())
                }
            },
            Packet::AskBlob(hash) => {
                self.answer_bytes(bus, from, hash);
                Ok(())
            }
            Packet::Blob { asked, bytes } => {
                self.take_bytes(bus, asked, bytes);
                Ok(())
            }
            Packet::AskPart(hash, start, end) => {
                self.answer_part(bus, from, hash, start..end);
                Ok(())
            }
            Packet::Part { asked, start, part } => {
                self.take_part_of(bus, asked, start, part);
                Ok(())
            }
            Packet::AskCertificates(round) => {
                self.answer_certificates(bus, from, round);
                Ok(())
            }
            Packet::Certificates(list) => {
                let list = list.iter().map(|certificate| (**certificate).clone());
                self.input(bus, Input::CaughtUp(list.collect()))
            }
            Packet::Claims(list) => self.take_claims(bus, &list),
            Packet::Record(record) => self.take_record(bus, &record),
            Packet::AskRecords(_) if self.lies_now(bus, Lie::Silence, 0.9) => Ok(()),
            Packet::AskRecords(frontier) => {
                let Some(live) = &self.live else { return Ok(()) };
                let lacking = live.ledger.records_since(&frontier).into_iter();
                // The disk has them in the order in which the ledger admitted them.
                let record = |slot: u32| self.disk.records[slot as usize].0.clone();
                let part: Vec<_> = lacking.take(RECORDS_SENT_MAX).map(record).collect();
                if !part.is_empty() {
                    bus.send(self.index, from, Packet::Records(Arc::new(part)));
                }
                Ok(())
            }
            Packet::Records(list) => {
                list.iter().try_for_each(|record| self.take_record(bus, record))
            }
        }
    }

    fn hear(&mut self, bus: &mut Bus, message: RunMessage) -> Outcome {
        if let Some(liar) = &mut self.liar {
            liar.hear(&message);
        }
        self.input(bus, Input::Message(Box::new(message)))
    }

    fn answer_bytes(&mut self, bus: &mut Bus, to: usize, asked: FileHash) {
        let Some(bytes) = self.disk.blobs.get(&asked).cloned() else { return };
        if self.lies_now(bus, Lie::Silence, 0.9) {
            return;
        }
        let bytes = match self.lies_now(bus, Lie::WrongBytes, 0.7) {
            true => Arc::new(bytes.iter().map(|byte| byte ^ 1).collect()),
            false => bytes,
        };
        bus.send(self.index, to, Packet::Blob { asked, bytes });
    }

    fn take_bytes(&mut self, bus: &mut Bus, asked: FileHash, bytes: Arc<Vec<u8>>) {
        if FileHash::of(&bytes) != asked && !self.facts.has(Defect::TrustBytes) {
            bus.counts.note("bytes with another hash");
            return;
        }
        if self.disk.blobs.insert(asked, bytes).is_none() {
            bus.provide(self.index, asked);
        }
        self.look_at_jobs(bus);
    }

    fn take_claims(&mut self, bus: &mut Bus, list: &[Vec<u8>]) -> Outcome {
        let mut certificates = Vec::new();
        for bytes in list {
            if self.facts.has(Defect::TrustCertificates) {
                let decoded = codec::decode::<Certificate>(bytes, CERTIFICATE_BYTES_MAX);
                certificates.extend(decoded.ok());
                continue;
            }
            match bus.opened.certificate(&self.facts, bytes) {
                Some(certificate) => certificates.push((*certificate).clone()),
                None => bus.counts.note("certificate that does not open"),
            }
        }
        self.input(bus, Input::CaughtUp(certificates))
    }

    /// Asks somebody for what this ledger lacks.
    pub(super) fn ask_for_records(&mut self, bus: &mut Bus) {
        let peer = self.peer();
        if let Some(live) = &self.live {
            let frontier = Arc::new(live.ledger.frontier().clone());
            bus.send(self.index, peer, Packet::AskRecords(frontier));
        }
    }

    /// Takes a consent record, and passes it on if it was new.
    pub(super) fn take_record(&mut self, bus: &mut Bus, record: &Signed<Record>) -> Outcome {
        let day_ms = self.day_ms(bus);
        let Some(live) = &mut self.live else { return Ok(()) };
        let inserted = live.ledger.insert(record.clone(), day_ms).map_err(|error| {
            let what = format!("n{} refuses an honest record: {error}", self.index);
            Violation::new(Rule::Consent, what)
        })?;
        let Inserted::New(admitted) = inserted else { return Ok(()) };
        for Admitted { record, .. } in admitted {
            bus.note(self.index, &format!("admits record {}", record.id().short()));
            self.disk.records.push((record.clone(), day_ms));
            let packet = Packet::Record(Arc::new(record));
            for _ in 0..RECORD_PEERS {
                let peer = self.peer();
                bus.send(self.index, peer, packet.clone());
            }
        }
        self.look_at_jobs(bus);
        Ok(())
    }

    fn answer_certificates(&mut self, bus: &mut Bus, to: usize, round: u64) {
        if self.lies_now(bus, Lie::Silence, 0.9) {
            return;
        }
        if self.lies_now(bus, Lie::FalseCertificates, 0.7) {
            self.hand_out_false_certificates(bus, Some((to, round)));
            return;
        }
        let later = self.disk.certificates.range(round..).map(|(_, certificate)| certificate);
        let part: Vec<_> = later.take(CERTIFICATES_SENT_MAX).cloned().collect();
        if !part.is_empty() && !self.facts.has(Defect::IgnoreCatchUp) {
            bus.send(self.index, to, Packet::Certificates(Arc::new(part)));
        }
    }
}
