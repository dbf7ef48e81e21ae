//! All objects judged by all policies, on a few threads, with bounded memory.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use jiff::Timestamp;
use portcullis_core::{
    audit::{Finding, Judge, JudgeOptions, Ledger, Object, Placement, PolicySet, Surroundings},
    policy::EvaluationLimits,
    scope::Semantics,
};

use crate::edge::objects::{Chunk, Item, ObjectSource, items, survey};

/// The stack of a worker: policies nest deeper than other code.
const STACK_BYTES: usize = 16 << 20;

/// How a run judges.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Threads; 0 for one per core.
    pub workers: usize,
    /// Whose reading counts.
    pub semantics: Semantics,
    /// Under cluster semantics, the namespace of namespaced objects that name none.
    pub default_namespace: String,
    /// Bound of one evaluation.
    pub evaluation_timeout: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            workers: 0,
            semantics: Semantics::Cluster,
            default_namespace: "default".to_owned(),
            evaluation_timeout: Duration::from_millis(500),
        }
    }
}

/// What a run found.
#[derive(Clone, Debug, Default)]
pub struct AuditOutcome {
    /// Sorted by constraint, object, message and place.
    pub findings: Vec<Finding>,
    /// What was and was not evaluated.
    pub ledger: Ledger,
    /// Objects read, matched or not.
    pub objects: u64,
}

/// Watches and stops a run.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// When set, the run ends soon, incomplete.
    pub cancel: &'a AtomicBool,
    /// Counts the objects judged so far.
    pub progress: &'a std::sync::atomic::AtomicU64,
}

/// Surveys the source, then judges everything in it.
pub fn audit_files(
    set: &Arc<PolicySet>,
    source: &ObjectSource,
    options: &RunOptions,
    now: Timestamp,
    watch: Watch<'_>,
) -> AuditOutcome {
    let surroundings = survey(source, options.semantics, &options.default_namespace);
    judge_all(set, &Arc::new(surroundings), source.chunks(), options, now, watch)
}

/// Judges chunks of objects as they come. Blocks: call it from a thread that may. What a cancelled run did
/// not get to is an unknown hole.
pub fn judge_all(
    set: &Arc<PolicySet>,
    surroundings: &Arc<Surroundings>,
    chunks: impl Iterator<Item = Chunk>,
    options: &RunOptions,
    now: Timestamp,
    watch: Watch<'_>,
) -> AuditOutcome {
    let workers = match options.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let (sender, receiver) = sync_channel::<Chunk>(workers * 2);
    let receiver = Mutex::new(receiver);
    let mut outcome = AuditOutcome::default();
    let mut blocks: Vec<Vec<Finding>> = Vec::new();
    for (constraint, reason) in set.refused_constraints() {
        outcome.ledger.hole_of_constraint(constraint, reason);
    }
    let work = || Worker::new(set, surroundings, options, now, watch).run(&receiver);
    std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for number in 0..workers {
            let thread = std::thread::Builder::new().name(format!("judge-{number}")).stack_size(STACK_BYTES);
            if let Ok(handle) = thread.spawn_scoped(scope, work) {
                handles.push(handle);
            }
        }
        // Without any worker nobody would ever take a chunk.
        let mut chunks = chunks;
        if !handles.is_empty() {
            for chunk in chunks.by_ref() {
                if watch.cancel.load(Ordering::Relaxed) || sender.send(chunk).is_err() {
                    break;
                }
            }
        }
        drop(sender);
        if handles.is_empty() {
            outcome.ledger.hole_everywhere("no thread could be started");
        }
        for handle in handles {
            match handle.join() {
                Ok(part) => {
                    blocks.extend(part.blocks);
                    outcome.ledger.merge(part.ledger);
                    outcome.objects += part.objects;
                }
                Err(_) => outcome.ledger.hole_everywhere("a worker failed"),
            }
        }
    });
    if watch.cancel.load(Ordering::Relaxed) {
        outcome.ledger.hole_everywhere("the run was stopped");
    }
    outcome.findings.reserve_exact(blocks.iter().map(Vec::len).sum());
    for block in blocks {
        outcome.findings.extend(block);
    }
    outcome.findings.sort_unstable_by(order);
    outcome
}

/// The order of findings: nothing in it depends on which worker was first.
fn order(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    (&a.constraint, &a.object, &a.source, &a.message, &a.operation)
        .cmp(&(&b.constraint, &b.object, &b.source, &b.message, &b.operation))
        .then_with(|| a.details.to_string().cmp(&b.details.to_string()))
}

/// What one worker found. A growing list of findings is copied and twice as large for a moment, and there
/// can be many findings: they are kept in blocks.
#[derive(Default)]
struct Part {
    blocks: Vec<Vec<Finding>>,
    ledger: Ledger,
    objects: u64,
}

/// Findings of one block.
const BLOCK: usize = 256;

impl Part {
    fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            match self.blocks.last_mut() {
                Some(block) if block.len() < BLOCK => block.push(finding),
                _ => {
                    let mut block = Vec::with_capacity(BLOCK);
                    block.push(finding);
                    self.blocks.push(block);
                }
            }
        }
    }
}

struct Worker<'a> {
    set: &'a Arc<PolicySet>,
    surroundings: &'a Arc<Surroundings>,
    options: &'a RunOptions,
    now: Timestamp,
    watch: Watch<'a>,
    judge: Judge,
    part: Part,
}

impl<'a> Worker<'a> {
    fn new(
        set: &'a Arc<PolicySet>,
        surroundings: &'a Arc<Surroundings>,
        options: &'a RunOptions,
        now: Timestamp,
        watch: Watch<'a>,
    ) -> Self {
        let judge = new_judge(set, surroundings, options);
        Self { set, surroundings, options, now, watch, judge, part: Part::default() }
    }

    fn run(mut self, chunks: &Mutex<Receiver<Chunk>>) -> Part {
        loop {
            let chunk = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(chunk) = chunk else { break };
            // After a stop the rest is only drained, so that the reader does not wait.
            if !self.watch.cancel.load(Ordering::Relaxed) {
                items(&chunk, &mut |item| self.item(item));
            }
        }
        self.part.ledger.merge(self.judge.into_ledger());
        self.part
    }

    fn item(&mut self, item: Item) {
        if self.watch.cancel.load(Ordering::Relaxed) {
            return;
        }
        let (value, place) = match item {
            Item::Hole(reason) => return self.judge.unreadable(&reason),
            Item::Object(value, place) => (value, place),
        };
        let placement = Placement {
            semantics: self.options.semantics,
            default_namespace: &self.options.default_namespace,
            surroundings: self.surroundings,
        };
        match Object::new(value, place.clone(), &placement) {
            Err(unreadable) => self.judge.unreadable(&format!("{place}: {unreadable}")),
            Ok(object) => {
                self.part.objects += 1;
                self.watch.progress.fetch_add(1, Ordering::Relaxed);
                self.judge_object(&object, &place);
            }
        }
    }

    /// A defect of the engine costs one object its verdicts, not the run.
    fn judge_object(&mut self, object: &Object, place: &str) {
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge.judge(object, self.now)));
        if let Ok(findings) = judged {
            self.part.add(findings);
        } else {
            let fresh = new_judge(self.set, self.surroundings, self.options);
            let mut broken = std::mem::replace(&mut self.judge, fresh);
            broken.unreadable(&format!("{place}: the policy engine failed on this object"));
            self.part.ledger.merge(broken.into_ledger());
        }
    }
}

fn new_judge(set: &Arc<PolicySet>, surroundings: &Arc<Surroundings>, options: &RunOptions) -> Judge {
    let limits = EvaluationLimits { timeout: options.evaluation_timeout };
    Judge::new(
        Arc::clone(set),
        Arc::clone(surroundings),
        JudgeOptions { semantics: options.semantics, limits },
    )
}
