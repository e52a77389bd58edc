//! A network of its own for each test: a namespace for each node, and one with the switch between them.
//!
//! ```text
//! node 0: eth0 10.77.0.1 --- v0 \
//! node 1: eth0 10.77.0.2 --- v1 -- br0, in the namespace of the switch
//! ```
//!
//! Rates are `tc tbf`, loss and partitions rules of `nft` at each node's door, lateness a relay in the place
//! of the bridge, since few kernels have `netem`.
//!
//! Invariants: nothing leaves these namespaces; they go when this is dropped. What it is not: everywhere.
//! Who may not make namespaces gets none, and says so.

use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tests::sim::{Script, What};

/// The namespaces of one test.
#[derive(Debug)]
pub(crate) struct Net {
    name: String,
    nodes: usize,
    relay: Option<Relay>,
}

/// A relay that runs; it ends with its input.
#[derive(Debug)]
struct Relay {
    child: Child,
    input: Option<ChildStdin>,
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let said = Command::new(program).args(args).output();
    let said = said.map_err(|error| format!("{program}: {error}"))?;
    if said.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    Err(format!("{program} {}: {}", args.join(" "), why.trim()))
}

/// A line of words, as arguments.
fn ip(line: &str) -> Result<(), String> {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

impl Net {
    /// Namespaces for the nodes of `script`; an error says why there may be none.
    ///
    /// # Panics
    /// If they may be made and what is to be in them may not.
    pub(crate) fn new(script: &Script) -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        run("nft", &["--version"])?;
        run("tc", &["-V"])?;
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("accord{}x{made}", std::process::id());
        let net = Self { name, nodes: script.nodes, relay: None };
        ip(&format!("netns add {}", net.switch()))?;
        net.lay(script.rate_kbit).unwrap_or_else(|why| panic!("{why}"));
        Ok(net)
    }

    fn lay(&self, rate_kbit: Option<u32>) -> Result<(), String> {
        let switch = self.switch();
        ip(&format!("-n {switch} link add br0 type bridge"))?;
        ip(&format!("-n {switch} link set br0 up"))?;
        for node in 0..self.nodes {
            let (ns, address) = (self.of(node), Self::address(node));
            ip(&format!("netns add {ns}"))?;
            ip(&format!("-n {ns} link set lo up"))?;
            ip(&format!("link add v{node} netns {switch} type veth peer name eth0 netns {ns}"))?;
            ip(&format!("-n {switch} link set v{node} master br0 up"))?;
            ip(&format!("-n {ns} address add {address}/24 dev eth0"))?;
            ip(&format!("-n {ns} link set eth0 up"))?;
            if let Some(rate) = rate_kbit {
                let tbf = format!("tbf rate {rate}kbit burst 64kb latency 300ms");
                let line = format!("-n {ns} qdisc add dev eth0 root {tbf}");
                run("tc", &line.split(' ').collect::<Vec<_>>())?;
            }
        }
        self.filter(&[])
    }

    fn switch(&self) -> String {
        format!("{}s", self.name)
    }

    /// The namespace of a node.
    pub(crate) fn of(&self, node: usize) -> String {
        format!("{}n{node}", self.name)
    }

    /// Where it listens.
    pub(crate) fn address(node: usize) -> String {
        format!("10.77.0.{}", node + 1)
    }

    /// Makes this go wrong in the network, and nothing else; crashes are not its matter.
    pub(crate) fn suffer(&mut self, now: &[&What]) -> Result<(), String> {
        self.filter(now)?;
        let lag = now.iter().find_map(|what| match what {
            What::Lag { milli, ms } => Some((*milli, *ms)),
            _ => None,
        });
        match (lag, self.relay.is_some()) {
            (Some((milli, ms)), false) => self.relay(milli, ms),
            (None, true) => self.bridge(),
            _ => Ok(()),
        }
    }

    /// What each node lets in.
    fn filter(&self, now: &[&What]) -> Result<(), String> {
        for node in 0..self.nodes {
            let mut rules = String::new();
            for what in now {
                let refuses = |other: &usize| match what {
                    What::Split { side } => side.contains(other) != side.contains(&node),
                    What::OneWay { side } => side.contains(other) && !side.contains(&node),
                    _ => false,
                };
                for other in (0..self.nodes).filter(refuses) {
                    rules += &format!("ip saddr {} drop\n", Self::address(other));
                }
                if let What::Loss { milli } = what {
                    rules += &format!("iifname \"eth0\" numgen random mod 1000 < {milli} drop\n");
                }
            }
            let chain = format!("chain in {{\ntype filter hook input priority 0;\n{rules}}}");
            // Added, so that it is there to be replaced.
            let add = "table inet t\ndelete table inet t";
            let table = format!("{add}\ntable inet t {{\n{chain}\n}}\n");
            run("ip", &["netns", "exec", &self.of(node), "nft", &table])?;
        }
        Ok(())
    }

    fn relay(&mut self, milli: u32, ms: u64) -> Result<(), String> {
        let switch = self.switch();
        for node in 0..self.nodes {
            ip(&format!("-n {switch} link set v{node} nomaster"))?;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processes/relay.py");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &switch, "python3", script]);
        command.args([milli.to_string(), ms.to_string()]);
        command.args((0..self.nodes).map(|node| format!("v{node}")));
        let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut child = started.map_err(|error| format!("python3: {error}"))?;
        let input = child.stdin.take();
        self.relay = Some(Relay { child, input });
        Ok(())
    }

    fn bridge(&mut self) -> Result<(), String> {
        self.relay = None;
        let switch = self.switch();
        (0..self.nodes).try_for_each(|at| ip(&format!("-n {switch} link set v{at} master br0")))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It ends with its input; the wait is short, and no process is left.
        self.input = None;
        let _ = self.child.wait();
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.relay = None;
        for node in 0..self.nodes {
            let _ = ip(&format!("netns del {}", self.of(node)));
        }
        let _ = ip(&format!("netns del {}", self.switch()));
    }
}
