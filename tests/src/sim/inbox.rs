//! What a node does with packets.
//!
//! Invariants: bytes are taken by their hash, certificates were opened by the checker. What it is
//! not: the round's judgement on messages.

use std::sync::Arc;

use consent::{Admitted, Inserted, Record};
use protocol::Signed;
use protocol::limits::CERTIFICATES_SENT_MAX;
use protocol::round::Input;

use super::bus::{Bus, Outcome};
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
            Packet::Run(message) => self.input(bus, Input::Message(Box::new((*message).clone()))),
            Packet::AskBlob(hash) => {
                if let Some(bytes) = self.disk.blobs.get(&hash) {
                    bus.send(self.index, from, Packet::Blob(bytes.clone()));
                }
                Ok(())
            }
            Packet::Blob(bytes) => {
                self.keep(bus, bytes.to_vec());
                self.look_at_jobs(bus);
                Ok(())
            }
            Packet::AskCertificates(round) => {
                self.answer_certificates(bus, from, round);
                Ok(())
            }
            Packet::Certificates(list) => self.input(bus, Input::CaughtUp(list.to_vec())),
            Packet::Record(record) => self.take_record(bus, &record),
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
        let later = self.disk.certificates.range(round..).map(|(_, certificate)| certificate);
        let part: Vec<_> = later.take(CERTIFICATES_SENT_MAX).cloned().collect();
        if !part.is_empty() && !self.facts.has(Defect::IgnoreCatchUp) {
            bus.send(self.index, to, Packet::Certificates(Arc::new(part)));
        }
    }
}
