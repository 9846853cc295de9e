//! HorizontalPodAutoscalers of autoscaling/v2.

use super::{Fields, default, has_any, object, object_or_new};
use serde_json::{Value, json};

/// The utilization of the CPU that is aimed at where nothing is said, in percent.
const UTILIZATION: i32 = 80;

pub(super) fn set(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    default(spec, "minReplicas", 1);
    if !has_any(spec, "metrics") {
        let target = json!({"type": "Utilization", "averageUtilization": UTILIZATION});
        let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        spec.insert("metrics".to_owned(), metrics);
    }
    // Where nothing is said of the behaviour, upstream's controller decides and nothing is stored.
    if let Some(behavior) = object(spec, "behavior") {
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        if let Some(up) = object_or_new(behavior, "scaleUp") {
            set_rules(up, &[json!({"type": "Pods", "value": 4, "periodSeconds": 15}), percent.clone()]);
            default(up, "stabilizationWindowSeconds", 0);
        }
        if let Some(down) = object_or_new(behavior, "scaleDown") {
            set_rules(down, &[percent]);
        }
    }
}

fn set_rules(rules: &mut Fields, policies: &[Value]) {
    default(rules, "selectPolicy", "Max");
    default(rules, "policies", policies);
}
