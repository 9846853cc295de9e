//! What the program takes while 30 pods run and nothing happens but their probes.

use crate::{
    IMAGE,
    cluster::{Cluster, resolve},
    report::Figures,
    support::engines::ContainerEngine,
};
use std::time::Duration;

const PODS: usize = 30;
/// Until what the start has left to do is over.
const SETTLING: Duration = Duration::from_secs(15);

const SET: &str = r"apiVersion: v1
kind: Service
metadata: {name: nginx}
spec:
  clusterIP: None
  selector: {app: nginx}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: PODS
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: IMAGE
          readinessProbe: {PROBE, periodSeconds: 10}
";

#[expect(clippy::disallowed_methods, reason = "the time itself is what is waited for")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Measures it, with probes over HTTP and with commands as probes.
pub fn measure(engine: &ContainerEngine, time: Duration, figures: &mut Figures) {
    for (kind, probe) in
        [("httpGet", "httpGet: {port: 80, path: /probe}"), ("exec", "exec: {command: [/app, test, /app]}")]
    {
        let set = SET.replace("PODS", &PODS.to_string()).replace("IMAGE", IMAGE).replace("PROBE", probe);
        let cluster = Cluster::start(engine, &[("set.yaml", &set)]);
        for ordinal in 0..PODS {
            let name = format!("web-{ordinal}.nginx.default.svc.cluster.local");
            cluster.until(&name, || resolve(&name));
        }
        figures.milliseconds(&format!("{PODS} pods ready at once ({kind})"), cluster.begun.elapsed());
        wait(SETTLING);
        let process = cluster.process();
        let before = process.spent();
        wait(time);
        let spent = process.spent() - before;
        let share = 100.0 * spent.as_secs_f64() / time.as_secs_f64();
        figures.add(&format!("idle with {PODS} pods and {kind} probes, % of a core"), share);
        figures.add(&format!("resident memory with {PODS} pods ({kind}), MB"), process.resident());
    }
}
