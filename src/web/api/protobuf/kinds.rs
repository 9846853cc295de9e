//! The fields of the kinds that kubectl's commands create: their numbers, as upstream's `generated.proto` files have them.

use super::{Field, METADATA, WireType};
use WireType::{Bool, Given, Inline, Int, IntOrString, List, Message, Octets, Quantities, Quantity, Text, Texts, Time};

const NAMED: &[Field] = &[(1, "name", Text)];
const REFERENCE: &[Field] = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const REQUIREMENT: &[Field] = &[(1, "key", Text), (2, "operator", Text), (3, "values", List(&Text))];
const SELECTOR: &[Field] = &[(1, "matchLabels", Texts), (2, "matchExpressions", List(&Message(REQUIREMENT)))];
const CONDITION: &[Field] = &[];

const CONFIG_MAP: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "data", Texts),
    (3, "binaryData", Octets),
    (4, "immutable", Given(&Bool)),
];
const SECRET: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "data", Octets),
    (3, "type", Text),
    (4, "stringData", Texts),
    (5, "immutable", Given(&Bool)),
];
const SERVICE_ACCOUNT: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "secrets", List(&Message(REFERENCE))),
    (3, "imagePullSecrets", List(&Message(NAMED))),
    (4, "automountServiceAccountToken", Given(&Bool)),
];
const QUOTA: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "spec", Message(&[(1, "hard", Quantities), (2, "scopes", List(&Text))])),
    (3, "status", Message(&[(1, "hard", Quantities), (2, "used", Quantities)])),
];

const RULE: &[Field] = &[
    (1, "verbs", List(&Text)),
    (2, "apiGroups", List(&Text)),
    (3, "resources", List(&Text)),
    (4, "resourceNames", List(&Text)),
    (5, "nonResourceURLs", List(&Text)),
];
const ROLE: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "rules", List(&Message(RULE))),
    (3, "aggregationRule", Message(&[(1, "clusterRoleSelectors", List(&Message(SELECTOR)))])),
];
const SUBJECT: &[Field] = &[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)];
const BINDING: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "subjects", List(&Message(SUBJECT))),
    (3, "roleRef", Message(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];

const PRIORITY_CLASS: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "value", Given(&Int)),
    (3, "globalDefault", Bool),
    (4, "description", Text),
    (5, "preemptionPolicy", Given(&Text)),
];

const BUDGET_STATUS: &[Field] = &[
    (1, "observedGeneration", Int),
    (3, "disruptionsAllowed", Int),
    (4, "currentHealthy", Int),
    (5, "desiredHealthy", Int),
    (6, "expectedPods", Int),
    (7, "conditions", List(&Message(CONDITION))),
];
const DISRUPTION_BUDGET: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "minAvailable", IntOrString),
            (2, "selector", Message(SELECTOR)),
            (3, "maxUnavailable", IntOrString),
            (4, "unhealthyPodEvictionPolicy", Given(&Text)),
        ]),
    ),
    (3, "status", Message(BUDGET_STATUS)),
];

const BACKEND: &[Field] = &[
    (3, "resource", Message(&[(1, "apiGroup", Given(&Text)), (2, "kind", Text), (3, "name", Text)])),
    (4, "service", Message(&[(1, "name", Text), (2, "port", Message(&[(1, "name", Text), (2, "number", Int)]))])),
];
const PATH: &[Field] = &[(1, "path", Text), (2, "backend", Message(BACKEND)), (3, "pathType", Given(&Text))];
const HTTP: &[Field] = &[(1, "http", Message(&[(1, "paths", List(&Message(PATH)))]))];
const INGRESS: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "defaultBackend", Message(BACKEND)),
            (2, "tls", List(&Message(&[(1, "hosts", List(&Text)), (2, "secretName", Text)]))),
            (3, "rules", List(&Message(&[(1, "host", Text), (2, "", Inline(HTTP))]))),
            (4, "ingressClassName", Given(&Text)),
        ]),
    ),
    (3, "status", Message(&[(1, "loadBalancer", Message(&[]))])),
];

const AUTOSCALER_TARGET: &[Field] = &[(1, "kind", Text), (2, "name", Text), (3, "apiVersion", Text)];
const AUTOSCALER_STATUS: &[Field] = &[(3, "currentReplicas", Int), (4, "desiredReplicas", Int)];
const AUTOSCALER_V1: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "scaleTargetRef", Message(AUTOSCALER_TARGET)),
            (2, "minReplicas", Given(&Int)),
            (3, "maxReplicas", Int),
            (4, "targetCPUUtilizationPercentage", Given(&Int)),
        ]),
    ),
    (3, "status", Message(AUTOSCALER_STATUS)),
];
const METRIC_TARGET: &[Field] =
    &[(1, "type", Text), (2, "value", Quantity), (3, "averageValue", Quantity), (4, "averageUtilization", Given(&Int))];
const METRIC: &[Field] =
    &[(1, "type", Text), (4, "resource", Message(&[(1, "name", Text), (2, "target", Message(METRIC_TARGET))]))];
const AUTOSCALER_V2: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "scaleTargetRef", Message(AUTOSCALER_TARGET)),
            (2, "minReplicas", Given(&Int)),
            (3, "maxReplicas", Int),
            (4, "metrics", List(&Message(METRIC))),
        ]),
    ),
    (3, "status", Message(AUTOSCALER_STATUS)),
];

const CONTAINER_PORT: &[Field] =
    &[(1, "name", Text), (2, "hostPort", Int), (3, "containerPort", Int), (4, "protocol", Text), (5, "hostIP", Text)];
const CONTAINER: &[Field] = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", List(&Text)),
    (4, "args", List(&Text)),
    (5, "workingDir", Text),
    (6, "ports", List(&Message(CONTAINER_PORT))),
    (7, "env", List(&Message(&[(1, "name", Text), (2, "value", Text)]))),
    (8, "resources", Message(&[(1, "limits", Quantities), (2, "requests", Quantities)])),
    (13, "terminationMessagePath", Text),
    (14, "imagePullPolicy", Text),
    (16, "stdin", Bool),
    (17, "stdinOnce", Bool),
    (18, "tty", Bool),
    (20, "terminationMessagePolicy", Text),
];
const POD_SPEC: &[Field] = &[
    (2, "containers", List(&Message(CONTAINER))),
    (3, "restartPolicy", Text),
    (4, "terminationGracePeriodSeconds", Given(&Int)),
    (5, "activeDeadlineSeconds", Given(&Int)),
    (6, "dnsPolicy", Text),
    (7, "nodeSelector", Texts),
    (8, "serviceAccountName", Text),
    (9, "serviceAccount", Text),
    (10, "nodeName", Text),
    (11, "hostNetwork", Bool),
    (12, "hostPID", Bool),
    (13, "hostIPC", Bool),
    (14, "securityContext", Message(&[])),
    (15, "imagePullSecrets", List(&Message(NAMED))),
    (16, "hostname", Text),
    (17, "subdomain", Text),
    (19, "schedulerName", Text),
    (24, "priorityClassName", Text),
];
const TEMPLATE: &[Field] = &[(1, "metadata", Message(METADATA)), (2, "spec", Message(POD_SPEC))];

const DEPLOYMENT: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "replicas", Given(&Int)),
            (2, "selector", Message(SELECTOR)),
            (3, "template", Message(TEMPLATE)),
            (4, "strategy", Message(&[(1, "type", Text)])),
            (5, "minReadySeconds", Int),
            (6, "revisionHistoryLimit", Given(&Int)),
            (7, "paused", Bool),
            (9, "progressDeadlineSeconds", Given(&Int)),
        ]),
    ),
    (3, "status", Message(COUNTS)),
];
/// Counts of a status, which a new object has none of; only their numbers are known here.
const COUNTS: &[Field] =
    &[(1, "", Int), (2, "", Int), (3, "", Int), (4, "", Int), (5, "", Int), (6, "", Int), (7, "", Int)];
const JOB_SPEC: &[Field] = &[
    (1, "parallelism", Given(&Int)),
    (2, "completions", Given(&Int)),
    (3, "activeDeadlineSeconds", Given(&Int)),
    (4, "selector", Message(SELECTOR)),
    (5, "manualSelector", Given(&Bool)),
    (6, "template", Message(TEMPLATE)),
    (7, "backoffLimit", Given(&Int)),
    (8, "ttlSecondsAfterFinished", Given(&Int)),
    (9, "completionMode", Given(&Text)),
    (10, "suspend", Given(&Bool)),
];
const JOB: &[Field] =
    &[(1, "metadata", Message(METADATA)), (2, "spec", Message(JOB_SPEC)), (3, "status", Message(JOB_COUNTS))];
const JOB_COUNTS: &[Field] = &[(4, "", Int), (5, "", Int), (6, "", Int), (7, "", Text), (9, "", Int)];
const CRON_JOB: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "schedule", Text),
            (2, "startingDeadlineSeconds", Given(&Int)),
            (3, "concurrencyPolicy", Text),
            (4, "suspend", Given(&Bool)),
            (5, "jobTemplate", Message(&[(1, "metadata", Message(METADATA)), (2, "spec", Message(JOB_SPEC))])),
            (6, "successfulJobsHistoryLimit", Given(&Int)),
            (7, "failedJobsHistoryLimit", Given(&Int)),
            (8, "timeZone", Given(&Text)),
        ]),
    ),
    (3, "status", Message(&[(4, "lastScheduleTime", Time)])),
];

const ATTRIBUTES: &[Field] = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];
const ACCESS_REVIEW: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "resourceAttributes", Message(ATTRIBUTES)),
            (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
        ]),
    ),
    (
        3,
        "status",
        Message(&[(1, "allowed", Bool), (2, "reason", Text), (3, "evaluationError", Text), (4, "denied", Bool)]),
    ),
];
const RULES_REVIEW: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "spec", Message(&[(1, "namespace", Text)])),
    (3, "status", Message(&[(3, "incomplete", Bool), (4, "evaluationError", Text)])),
];
const WHO_AM_I: &[Field] = &[
    (1, "metadata", Message(METADATA)),
    (2, "status", Message(&[(1, "userInfo", Message(&[(1, "username", Text), (2, "uid", Text)]))])),
];

/// The apiVersion, the kind and its fields.
pub(super) const KINDS: &[(&str, &str, &[Field])] = &[
    ("apps/v1", "Deployment", DEPLOYMENT),
    ("authentication.k8s.io/v1", "SelfSubjectReview", WHO_AM_I),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", ACCESS_REVIEW),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", RULES_REVIEW),
    ("autoscaling/v1", "HorizontalPodAutoscaler", AUTOSCALER_V1),
    ("autoscaling/v2", "HorizontalPodAutoscaler", AUTOSCALER_V2),
    ("batch/v1", "CronJob", CRON_JOB),
    ("batch/v1", "Job", JOB),
    ("networking.k8s.io/v1", "Ingress", INGRESS),
    ("policy/v1", "PodDisruptionBudget", DISRUPTION_BUDGET),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", ROLE),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", BINDING),
    ("rbac.authorization.k8s.io/v1", "Role", ROLE),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", BINDING),
    ("scheduling.k8s.io/v1", "PriorityClass", PRIORITY_CLASS),
    ("v1", "ConfigMap", CONFIG_MAP),
    ("v1", "ResourceQuota", QUOTA),
    ("v1", "Secret", SECRET),
    ("v1", "ServiceAccount", SERVICE_ACCOUNT),
];
