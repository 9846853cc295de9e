//! What the program takes while 30 pods run and nothing happens but their probes.

use crate::{
    cluster::{Cluster, name, resolve, set},
    report::Figures,
    support::engines::ContainerEngine,
};
use std::time::Duration;

const PODS: usize = 30;
/// Until what the start has left to do is over.
const SETTLING: Duration = Duration::from_secs(15);

#[expect(clippy::disallowed_methods, reason = "the time itself is what is waited for")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Measures it, with probes over HTTP and with commands as probes.
pub fn measure(engine: &ContainerEngine, time: Duration, figures: &mut Figures) {
    for (kind, probe) in
        [("httpGet", "httpGet: {port: 80, path: /probe}"), ("exec", "exec: {command: [/app, test, /app]}")]
    {
        let probe = format!("          readinessProbe: {{{probe}, periodSeconds: 10}}\n");
        let (spec, pod) = ("  podManagementPolicy: Parallel\n", "      terminationGracePeriodSeconds: 1\n");
        let set = set(PODS, spec, pod, &probe);
        let cluster = Cluster::start(engine, &[("set.yaml", &set)]);
        for ordinal in 0..PODS {
            cluster.until(&name(ordinal), || resolve(&name(ordinal)));
        }
        figures.milliseconds(&format!("{PODS} pods ready at once ({kind})"), cluster.begun.elapsed());
        wait(SETTLING);
        let before = cluster.spent();
        wait(time);
        let spent = cluster.spent() - before;
        let share = 100.0 * spent.as_secs_f64() / time.as_secs_f64();
        figures.add(&format!("idle with {PODS} pods and {kind} probes, % of a core"), share);
        figures.add(&format!("resident memory with {PODS} pods ({kind}), MB"), cluster.resident());
    }
}
