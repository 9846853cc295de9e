//! What happens in a history: its setting and its operations, both made from a seed and nothing else.

use crate::manifests::{Behaviour, Form, Ports, Selects, ServiceManifest, SetManifest, Strategy};
use fastrand::Rng;
use headless_dns::control::controller::Cascade;

/// One thing that somebody does. It names its target by place, not by uid, and does nothing where the target is not
/// there, so that any operation can be left out of a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    EditSet(usize, SetEdit),
    EditService(usize, ServiceEdit),
    /// The file goes, or comes back.
    Withdraw(What),
    Declare(What),
    DeletePod(usize, i64, Option<i64>),
    DeleteClaim(usize, i64),
    DeleteSet(usize, Cascade),
    Fault(usize, i64, Fault),
    /// A pod loses the labels that its set selects, or gets them back.
    Relabel(usize, i64, bool),
    /// Somebody puts a finalizer on a pod, or takes it off.
    Finalizer(usize, i64, bool),
    /// A client notes something on a set.
    Note(usize, u8),
    /// The program ends and starts again; what its last turn changed may not have reached the disk.
    Restart {
        loses_last_turn: bool,
    },
    /// Somebody sets the clock forward by so many seconds, or back, while the program runs or between two runs.
    SetClock(i32, bool),
    /// Milliseconds pass.
    Wait(u32),
    /// Nobody does anything until nothing happens any more.
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Set(usize),
    Service(usize),
    /// A bare pod with the name of this set's pod of this ordinal.
    ForeignPod(usize, i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SetEdit {
    Replicas(i32),
    Start(i32),
    Image(u8),
    Behaviour(Behaviour),
    Strategy(Strategy),
    MinReadySeconds(i32),
    Retention(bool, bool),
    HistoryLimit(i32),
    GraceSeconds(i64),
    // Upstream refuses these for a set that exists.
    InOrder(bool),
    HasClaims(bool),
    ServiceName(&'static str),
    SelectsWidely(bool),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ServiceEdit {
    PublishesNotReady(bool),
    Selects(Selects),
    Ports(Ports),
    // Upstream refuses this for a service that exists.
    Form(Form),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Failed,
    Evicted,
    NotReady,
    Ready,
}

/// Everything that a seed decides.
#[derive(Debug, Clone)]
pub struct History {
    pub seed: u64,
    pub setting: Setting,
    pub operations: Vec<Operation>,
}

/// How the world is at the beginning.
#[derive(Debug, Clone)]
pub struct Setting {
    pub sets: Vec<SetManifest>,
    pub services: Vec<ServiceManifest>,
    pub is_dual_stack: bool,
    /// Milliseconds from creation to Running, from there to Ready, and from deletion to being gone.
    pub delays: [u64; 3],
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

impl History {
    pub fn new(seed: u64) -> History {
        let mut rng = Rng::with_seed(seed);
        let setting = Setting::random(&mut rng);
        let length = rng.usize(10..70);
        let operations = (0..length).map(|_| operation(&mut rng)).collect();
        History { seed, setting, operations }
    }
}

impl Setting {
    fn random(rng: &mut Rng) -> Setting {
        // `a-1` looks like a pod of `a`, and its claims `data-a-1-0` like those of `1` from a template `data-a`.
        let other = pick(rng, &[("default", "a-1"), ("other", "a")]);
        let selects_widely = rng.u8(..8) == 0;
        let places = [("default", "a"), other];
        let sets = places.map(|(namespace, name)| SetManifest {
            namespace,
            name,
            replicas: rng.i32(0..4),
            start: if rng.u8(..5) == 0 { 2 } else { 0 },
            image: 1,
            behaviour: Behaviour::Plain,
            in_order: rng.u8(..3) > 0,
            strategy: Strategy::Rolling(0),
            min_ready_seconds: if rng.u8(..4) == 0 { 2 } else { 0 },
            retention: (rng.bool(), rng.bool()),
            has_claims: rng.u8(..3) > 0,
            history_limit: pick(rng, &[0, 1, 10]),
            grace_seconds: pick(rng, &[0, 1, 30]),
            service_name: "peers",
            selects_widely,
        });
        let headless = |is_headless| if is_headless { Form::Headless } else { Form::ClusterIp };
        let service = |namespace, name, form, publishes_not_ready, selects, ports| ServiceManifest {
            namespace,
            name,
            form,
            publishes_not_ready,
            selects,
            ports,
        };
        let services = vec![
            service("default", "peers", Form::Headless, rng.u8(..4) == 0, Selects::Everybody, Ports::Named),
            service("default", "front", Form::ClusterIp, false, Selects::App("a"), Ports::Two),
            service("default", "one", headless(rng.bool()), true, Selects::Pod("a-1"), Ports::ByName),
            service("other", "peers", headless(rng.u8(..4) > 0), false, Selects::App("a"), Ports::ByName),
        ];
        Setting {
            sets: sets.into(),
            services,
            is_dual_stack: rng.u8(..4) == 0,
            delays: pick(rng, &[[100, 200, 300], [100, 200, 300], [0, 0, 0], [0, 1500, 0], [700, 10, 2500]]),
        }
    }
}

fn operation(rng: &mut Rng) -> Operation {
    let set = rng.usize(..2);
    let ordinal = rng.i64(0..5);
    match rng.u8(..100) {
        0..=23 => Operation::EditSet(set, set_edit(rng)),
        24..=28 => Operation::EditService(rng.usize(..4), service_edit(rng)),
        29..=31 => Operation::Withdraw(what(rng)),
        32..=36 => Operation::Declare(what(rng)),
        37..=46 => Operation::DeletePod(set, ordinal, pick(rng, &[None, None, Some(0), Some(1), Some(60)])),
        47..=49 => Operation::DeleteClaim(set, ordinal),
        50..=52 => Operation::DeleteSet(set, pick(rng, &[Cascade::Background, Cascade::Foreground, Cascade::Orphan])),
        53..=60 => {
            let fault = pick(rng, &[Fault::Failed, Fault::Evicted, Fault::NotReady, Fault::NotReady, Fault::Ready]);
            Operation::Fault(set, ordinal, fault)
        }
        61..=62 => Operation::Relabel(set, ordinal, rng.bool()),
        63..=64 => Operation::Finalizer(set, ordinal, rng.bool()),
        65..=70 => Operation::Restart { loses_last_turn: rng.bool() },
        71..=73 => Operation::Rest,
        74..=76 => Operation::Note(set, rng.u8(..)),
        77..=80 => {
            let seconds = pick(rng, &[2, 60, 3600, 31_536_000]);
            Operation::SetClock(if rng.bool() { seconds } else { -seconds }, rng.u8(..4) == 0)
        }
        _ => Operation::Wait(match rng.u8(..4) {
            0 => 0,
            1 => rng.u32(..200),
            2 => rng.u32(..1000),
            _ => rng.u32(..8000),
        }),
    }
}

fn what(rng: &mut Rng) -> What {
    match rng.u8(..5) {
        0 | 1 => What::Set(rng.usize(..2)),
        2 | 3 => What::Service(rng.usize(..4)),
        _ => What::ForeignPod(rng.usize(..2), rng.i64(0..3)),
    }
}

fn set_edit(rng: &mut Rng) -> SetEdit {
    match rng.u8(..30) {
        0..=6 => SetEdit::Replicas(rng.i32(0..5)),
        7..=12 => SetEdit::Image(rng.u8(1..5)),
        13..=15 => SetEdit::Behaviour(pick(rng, &Behaviour::ALL)),
        16..=17 => SetEdit::Behaviour(Behaviour::Plain),
        18..=19 => SetEdit::Start(rng.i32(0..4)),
        20..=21 => SetEdit::Strategy(Strategy::Rolling(rng.i32(0..5))),
        22 => SetEdit::Strategy(Strategy::OnDelete),
        23 => SetEdit::MinReadySeconds(rng.i32(0..5)),
        24..=25 => SetEdit::Retention(rng.bool(), rng.bool()),
        26 => SetEdit::HistoryLimit(rng.i32(0..3)),
        27 => SetEdit::GraceSeconds(pick(rng, &[0, 1, 5, 30])),
        28 => pick(rng, &[SetEdit::InOrder(true), SetEdit::InOrder(false), SetEdit::HasClaims(true)]),
        _ => pick(
            rng,
            &[
                SetEdit::HasClaims(false),
                SetEdit::ServiceName("peers"),
                SetEdit::ServiceName("front"),
                SetEdit::SelectsWidely(false),
                SetEdit::SelectsWidely(true),
            ],
        ),
    }
}

fn service_edit(rng: &mut Rng) -> ServiceEdit {
    let selectors = [Selects::Nobody, Selects::Everybody, Selects::App("a"), Selects::App("a-1"), Selects::Pod("a-0")];
    match rng.u8(..12) {
        0..=3 => ServiceEdit::PublishesNotReady(rng.bool()),
        4..=6 => ServiceEdit::Selects(pick(rng, &selectors)),
        7..=8 => {
            let all = [Ports::None, Ports::Unnamed, Ports::Named, Ports::ByName, Ports::Two];
            ServiceEdit::Ports(pick(rng, &all))
        }
        _ => {
            let forms = [Form::Headless, Form::ClusterIp, Form::NodePort, Form::ExternalName];
            ServiceEdit::Form(pick(rng, &forms))
        }
    }
}
