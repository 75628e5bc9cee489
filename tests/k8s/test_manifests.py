"""The manifests of k8s/, against the API server's own schemas, and small ones after the CRDs of Kueue and Volcano."""

import re
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS, GpuPool

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "k8s").glob("*/kustomization.yaml"))
KUBERNETES = ("1.30.0", "1.37.0")  # the oldest that the chart allows and the newest that the schemas know

QUANTITY = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i?|m)?$"}]}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
TAINT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["key", "effect"],
    "properties": {
        "key": {"type": "string"},
        "value": {"type": "string"},
        "effect": {"enum": ["NoSchedule", "NoExecute", "PreferNoSchedule"]},
    },
}
PREEMPTION = {"enum": ["Never", "LowerPriority", "LowerOrNewerEqualPriority"]}
FLAVOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "resources"],
    "properties": {
        "name": {"type": "string"},
        "resources": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "nominalQuota"],
                "properties": {
                    "name": {"type": "string"},
                    "nominalQuota": QUANTITY,
                    "borrowingLimit": QUANTITY,
                    "lendingLimit": QUANTITY,
                },
            },
        },
    },
}
# The fields of Kueue 0.19 (v1beta2) and Volcano 1.15 (v1beta1), as far as we use them; anything else is refused.
SPECIFICATIONS = {
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): {
        "nodeLabels": LABELS,
        "nodeTaints": {"type": "array", "items": TAINT},
    },
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): {
        "namespaceSelector": {"type": "object", "properties": {"matchLabels": LABELS}, "additionalProperties": False},
        "queueingStrategy": {"enum": ["StrictFIFO", "BestEffortFIFO"]},
        "preemption": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"withinClusterQueue": PREEMPTION, "reclaimWithinCohort": {"enum": ["Never", "Any"]}},
        },
        "resourceGroups": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["coveredResources", "flavors"],
                "properties": {
                    "coveredResources": {"type": "array", "items": {"type": "string"}},
                    "flavors": {"type": "array", "items": FLAVOR},
                },
            },
        },
    },
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): {"clusterQueue": {"type": "string"}},
    ("scheduling.volcano.sh/v1beta1", "Queue"): {
        "weight": {"type": "integer", "minimum": 1, "maximum": 65535},
        "reclaimable": {"type": "boolean"},
        "capability": {"type": "object", "additionalProperties": QUANTITY},
    },
}


def manifests(folder: Path) -> list[dict]:
    """Every object that `kubectl apply -k folder` would apply."""
    names = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [document for name in names for document in yaml.safe_load_all((folder / name).read_text())]


ALL = [
    pytest.param(manifest, id=f"{manifest['kind']}-{manifest['metadata']['name']}")
    for folder in FOLDERS
    for manifest in manifests(folder)
]


def of_kind(kind: str) -> dict[str, dict]:
    return {p.values[0]["metadata"]["name"]: p.values[0] for p in ALL if p.values[0]["kind"] == kind}


def test_every_file_belongs_to_a_kustomization():
    for folder in FOLDERS:
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(listed) == present
    assert {path.name for path in FOLDERS} == {"base", "kueue", "volcano"}


@pytest.mark.parametrize("manifest", ALL)
def test_fits_its_schema(manifest):
    kind = (manifest["apiVersion"], manifest["kind"])
    if kind in SPECIFICATIONS:
        schema = {"type": "object", "properties": SPECIFICATIONS[kind], "additionalProperties": False}
        jsonschema.validate(manifest["spec"], schema)
        assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    else:
        for version in KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("manifest", ALL)
def test_says_whose_it_is(manifest):
    assert manifest["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kinora"


def test_a_misspelt_field_would_be_found():
    """The schemas are strict, or the tests above would prove little."""
    queue = of_kind("ClusterQueue")["kinora-gpu"]["spec"] | {"cohort": "shared"}
    schema = {"properties": SPECIFICATIONS["kueue.x-k8s.io/v1beta2", "ClusterQueue"], "additionalProperties": False}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(queue, schema)
    priority = of_kind("PriorityClass")["kinora-serving"] | {"globaldefault": True}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(priority, KUBERNETES[0], strict=True)


def test_names_agree_across_queues_and_placement():
    locals_, clusters, flavors = (of_kind(kind) for kind in ("LocalQueue", "ClusterQueue", "ResourceFlavor"))
    asked_for = re.findall(r"queue-name: (\S+)", (ROOT / "pipelines/compiled/world_simulator.yaml").read_text())
    assert GpuPool().queue in asked_for
    assert set(asked_for) <= set(locals_), "a step waits in a queue that nobody made"
    for local in locals_.values():
        cluster = clusters[local["spec"]["clusterQueue"]]
        namespaces = cluster["spec"]["namespaceSelector"]["matchLabels"]
        assert namespaces == {"kubernetes.io/metadata.name": local["metadata"]["namespace"]}
    for group in (group for cluster in clusters.values() for group in cluster["spec"]["resourceGroups"]):
        assert GpuPool().accelerator in group["coveredResources"]
        for flavor in group["flavors"]:
            assert flavor["name"] in flavors
            assert [resource["name"] for resource in flavor["resources"]] == group["coveredResources"]
    assert flavors[GpuPool().queue]["spec"]["nodeLabels"] == GPU_NODE_SELECTOR
    (toleration,) = GPU_TOLERATIONS
    assert toleration["operator"] == "Exists"
    for flavor in flavors.values():
        for taint in flavor["spec"]["nodeTaints"]:
            assert (toleration["key"], toleration["effect"]) == (taint["key"], taint["effect"])


def test_roles_allow_nothing_by_wildcard():
    for role in of_kind("Role").values():
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert "secrets" not in rule["resources"]


def test_bindings_name_accounts_that_exist():
    accounts = {(a["metadata"]["namespace"], name) for name, a in of_kind("ServiceAccount").items()}
    ours = set(of_kind("Role")) | {"pipeline-runner"}  # the second comes with Kubeflow Pipelines
    for binding in of_kind("RoleBinding").values():
        assert binding["roleRef"]["name"] in ours
        for subject in binding["subjects"]:
            assert (subject["namespace"], subject["name"]) in accounts


def test_training_processes_get_no_api_token():
    assert of_kind("ServiceAccount")["kinora-trainer"]["automountServiceAccountToken"] is False


def test_serving_goes_before_training():
    classes = of_kind("PriorityClass")
    assert classes["kinora-serving"]["value"] > classes["kinora-training"]["value"]
