//! Upstream's own tests of StatefulSets, each as a story with the name of the test it stands for.
#![allow(clippy::unwrap_used)]

mod support;

use support::rows::check;

#[test]
fn creates_pods() {
    check(
        "UTC CreatesPods",
        "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        ? replicas=3 ready=3 current=3 updated=3 rolled=true pods=web-0:1,web-1:1,web-2:1
        scale 1 => T2 G2 T1 G1
        ",
    );
}
