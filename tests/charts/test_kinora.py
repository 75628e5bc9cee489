"""The chart: what Helm renders from it, against the API server's schemas and the rest of the repository."""

import importlib.util
import re

import jsonschema
import kubernetes_validate
import pytest
from helm_python import HelmError
from helm_python.chart import lint, package

import kinora
from components.images import CPU_IMAGE, GPU_IMAGE
from kinora.data.features.definitions import ONLINE, REGISTRY
from serving.request_log import DAYS_KEPT, REQUESTS, SWITCH

KUBERNETES = ("1.30.0", "1.37.0")  # the oldest that the chart allows and the newest that the schemas know
GATEWAY, WORKER = ("Deployment", "demo-kinora-gateway"), ("Deployment", "demo-kinora-worker")

# Sets of values that between them reach every branch of the templates.
VARIANTS = {
    "as it comes": {},
    "no autoscaler": {"autoscaling": {"enabled": False}, "worker": {"replicas": 3}},
    "to zero": {"autoscaling": {"minReplicas": 0}},
    "own everything": {
        "image": {"repository": "team/kinora", "tag": "0.2.0", "pullSecrets": ["registry"]},
        "workerToken": {"existingSecret": "token"},
        "gateway": {"persistence": {"existingClaim": "jobs"}, "nodeSelector": {"disk": "ssd"}, "tolerations": []},
        "serviceAccount": {"annotations": {"team": "video"}},
        "priorityClassName": "kinora-serving",
        "features": {"existingSecret": "features"},
        "model": {"version": "0123456789abcdef", "storage": {"region": "eu-1"}},
        "worker": {"nodeSelector": {"pool": "a100"}, "tolerations": [{"key": "a100", "operator": "Exists"}]},
    },
    "no GPUs, no volume": {"worker": {"gpu": False}, "gateway": {"persistence": {"enabled": False}}},
    "nothing kept": {"gateway": {"requestLog": False}},
    "public": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "video.example.org",
            "tlsSecret": "certificate",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "64m"},
        },
        "networkPolicy": {"clients": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
        "gateway": {"persistence": {"storageClass": "fast"}},
    },
    "bare": {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}},
}

BAD = {
    "a folder": ({"model": {"artifactRoot": "work/artifacts"}}, "/model/artifactRoot"),
    "no registry": ({"model": {"artifactRoot": ""}}, "model.artifactRoot is empty: name the pipeline's artifact root"),
    "features of no registry": (
        {"model": {"artifactRoot": "", "storage": {"endpoint": ""}}, "features": {"existingSecret": "features"}},
        "leave model.version, model.storage and features out too",
    ),
    "every port": ({"networkPolicy": {"featurePorts": []}}, "/networkPolicy/featurePorts"),
    "room": ({"gateway": {"temporaryStorage": "much"}}, "/gateway/temporaryStorage"),
    "no name of a version": ({"model": {"version": "newest"}}, "/model/version"),
    "no storage": ({"model": {"storage": {"endpoint": ""}}}, "model.storage.endpoint is empty"),
    "no credentials": ({"model": {"storage": {"existingSecret": ""}}}, "model.storage.existingSecret is empty"),
    "scheme in endpoint": ({"model": {"storage": {"endpoint": "http://s3:8333"}}}, "/model/storage/endpoint"),
    "latest": ({"image": {"tag": "latest"}}, "/image/tag"),
    "latest-cpu": ({"image": {"tag": "latest-cpu"}}, "/image/tag"),
    "tag in repository": ({"image": {"repository": "kinora/python:"}}, "/image/repository"),
    "no workers at most": ({"autoscaling": {"maxReplicas": 0}}, "/autoscaling/maxReplicas"),
    "more at least than at most": ({"autoscaling": {"minReplicas": 5}}, "autoscaling.minReplicas is 5"),
    "half a job": ({"autoscaling": {"jobsPerWorker": 0.5}}, "/autoscaling/jobsPerWorker"),
    "two gateways": ({"gateway": {"replicas": 2}}, "replicas"),
    "misspelt": ({"worker": {"replica": 2}}, "replica"),
    "quantity": ({"gateway": {"persistence": {"size": "20 GB"}}}, "/gateway/persistence/size"),
    "effect": ({"worker": {"tolerations": [{"key": "gpu", "effect": "NoSched"}]}}, "/worker/tolerations/0/effect"),
    "service type": ({"service": {"type": "External"}}, "/service/type"),
    "port": ({"service": {"port": 0}}, "/service/port"),
    "ingress without host": ({"ingress": {"enabled": True}}, "ingress.host is empty"),
    "pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
}

# The part of KEDA's ScaledObject (keda.sh/v1alpha1, 2.16 to 2.20) that we use; anything else is refused.
SCALED_OBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["scaleTargetRef", "triggers"],
    "properties": {
        "scaleTargetRef": {"type": "object", "additionalProperties": False, "properties": {"name": {"type": "string"}}},
        "minReplicaCount": {"type": "integer"},
        "maxReplicaCount": {"type": "integer"},
        "pollingInterval": {"type": "integer"},
        "cooldownPeriod": {"type": "integer"},
        "advanced": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "scalingModifiers": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["formula", "target"],
                    "properties": {
                        "formula": {"type": "string"},
                        "target": {"type": "string"},
                        "metricType": {"enum": ["AverageValue", "Value"]},
                    },
                },
                "horizontalPodAutoscalerConfig": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"behavior": {"type": "object"}},
                },
            },
        },
        "triggers": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "metadata"],
                "properties": {
                    "type": {"const": "metrics-api"},
                    "name": {"type": "string"},
                    "metadata": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["url", "valueLocation", "targetValue"],
                        "properties": {
                            "url": {"type": "string", "format": "uri"},
                            "format": {"enum": ["json", "xml", "yaml", "prometheus"]},
                            "valueLocation": {"type": "string"},
                            "targetValue": {"type": "string"},  # KEDA's trigger metadata are strings, numbers too
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture(params=VARIANTS)
def rendered(request, render):
    return render(VARIANTS[request.param])


def pods(rendered: dict) -> dict[str, dict]:
    """The specification of each pod that the chart would start."""
    made = {name: d["spec"]["template"]["spec"] for (kind, name), d in rendered.items() if kind == "Deployment"}
    return made | {name: d["spec"] for (kind, name), d in rendered.items() if kind == "Pod"}


def containers(rendered: dict) -> list[dict]:
    return [c for pod in pods(rendered).values() for c in pod.get("initContainers", []) + pod["containers"]]


@pytest.mark.parametrize("bare", [False, True])
def test_lints_without_a_warning(folder, complete_values, bare):
    report = lint(folder, {} if bare else complete_values, strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] >= 2] == []


def test_without_any_values_it_serves_the_model_of_the_package_on_any_cluster(render):
    """Nothing that a plain cluster lacks: no S3 server, no volume, no GPU, no KEDA."""
    objects = render(bare=True)
    assert {kind for kind, _ in objects} == {
        "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount"
    }  # fmt: skip
    for version in KUBERNETES:
        for document in objects.values():
            kubernetes_validate.validate(document, version, strict=True)
    assert {container["image"] for container in containers(objects)} == {CPU_IMAGE}
    worker = pods(objects)[WORKER[1]]
    assert not {"nodeSelector", "tolerations"} & set(worker)
    assert "nvidia.com/gpu" not in worker["containers"][0]["resources"]["limits"]
    for container in containers(objects):
        named = {e["name"] for e in container.get("env", [])}
        assert not {name for name in named if name.startswith(("AWS_", "KINORA_S3", "KINORA_FEATURES"))}
        assert not any("artifact-root" in argument for argument in container["args"])
    assert objects["NetworkPolicy", "demo-kinora-gateway"]["spec"]["egress"] == []
    (volume,) = (v for v in pods(objects)[GATEWAY[1]]["volumes"] if v["name"] == "data")
    assert volume["emptyDir"] == {"sizeLimit": "20Gi"}


def test_packages(folder, tmp_path):
    assert package(folder, destination=tmp_path).endswith(f"kinora-{kinora.__version__}.tgz")


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_fits_its_schema(rendered, version):
    for document in rendered.values():
        if document["kind"] == "ScaledObject":
            jsonschema.validate(document["spec"], SCALED_OBJECT)
        else:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_by_name(render, name):
    values, said = BAD[name]
    with pytest.raises(HelmError, match=re.escape(said)):
        render(values)


def test_the_schema_knows_every_value(chart):
    """A value that the schema does not know would be refused; one that values.yaml lacks could never be found."""

    def compare(schema: dict, values: dict, where: str) -> None:
        known = set(schema["properties"]) - {"global"}
        assert known == set(values), where
        for key, inner in schema["properties"].items():
            if inner.get("properties") and isinstance(values.get(key), dict):
                compare(inner, values[key], f"{where}.{key}")

    compare(chart.schema, chart.values, "values")


def test_every_value_is_used(chart):
    text = "".join(template["data"] for template in chart.templates)
    for section, values in chart.values.items():
        assert section in text
        for key in values if isinstance(values, dict) else ():
            assert re.search(rf"\.{key}\b", text), f"{section}.{key}"


def test_images_are_those_of_the_dockerfile_and_pinned(render, rendered):
    for container in containers(rendered):
        tag = container["image"].rsplit(":", 1)[1]
        assert re.fullmatch(r"\d+\.\d+\.\d+-(cpu|gpu)", tag), container["image"]
    assert {c["image"] for c in containers(render())} == {CPU_IMAGE, GPU_IMAGE}
    worker = pods(render())[WORKER[1]]
    assert {c["image"] for c in worker["containers"]} == {GPU_IMAGE}


def test_the_chart_serves_this_version(chart):
    assert chart.metadata["appVersion"] == kinora.__version__


def test_pods_fit_the_restricted_standard(rendered):
    """The serving namespace enforces it (k8s/base/namespaces.yaml): a pod that does not fit never starts."""
    for pod in pods(rendered).values():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert isinstance(context["runAsUser"], int)
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all({"emptyDir", "persistentVolumeClaim"} & set(volume) for volume in pod.get("volumes", []))
    for container in containers(rendered):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_what_is_written_to_is_a_volume(render):
    """The root file system is read-only: BentoML's home and /tmp must be volumes in each pod that runs Kinora."""
    for kind in (GATEWAY, WORKER):
        pod = render()[kind]["spec"]["template"]["spec"]
        for container in pod.get("initContainers", []) + pod["containers"]:
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            environment = {e["name"]: e.get("value") for e in container["env"]}
            assert {"/tmp", environment["BENTOML_HOME"], environment["HOME"]} <= mounts


def test_every_container_says_what_it_needs(rendered):
    for container in containers(rendered):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_one_gateway_keeps_the_queue(rendered):
    specification = rendered[GATEWAY]["spec"]
    assert specification["replicas"] == 1
    assert specification["strategy"] == {"type": "Recreate"}
    (volume,) = (v for v in specification["template"]["spec"]["volumes"] if v["name"] == "data")
    claim = volume.get("persistentVolumeClaim", {}).get("claimName")
    assert claim in (None, "jobs") or ("PersistentVolumeClaim", claim) in rendered


def test_probes_ask_bentoml(render):
    container = render()[GATEWAY]["spec"]["template"]["spec"]["containers"][0]
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    named = {port["name"] for port in container["ports"]}
    assert all(container[f"{probe}Probe"]["httpGet"]["port"] in named for probe in paths)


def test_probes_look_at_the_heartbeat_that_the_worker_is_told_to_keep(render):
    container = render()[WORKER]["spec"]["template"]["spec"]["containers"][0]
    (heartbeat,) = (value.partition("=")[2] for value in container["args"] if value.startswith("--heartbeat="))
    assert any(heartbeat.startswith(mount["mountPath"] + "/") for mount in container["volumeMounts"])
    for probe in ("startup", "liveness"):
        assert heartbeat in " ".join(container[f"{probe}Probe"]["exec"]["command"])


def test_workers_take_a_gpu_in_their_pool(render):
    pod = render()[WORKER]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["nodeSelector"] == {"kinora/pool": "gpu-serving"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_gateway_and_worker_share_one_token(render):
    for changes, secret in (({}, "demo-kinora-worker-token"), ({"workerToken": {"existingSecret": "mine"}}, "mine")):
        objects = render(changes)
        references = [
            e["valueFrom"]["secretKeyRef"]
            for kind in (GATEWAY, WORKER)
            for e in objects[kind]["spec"]["template"]["spec"]["containers"][0]["env"]
            if e["name"] == "KINORA_WORKER_TOKEN"
        ]
        assert references == [{"name": secret, "key": "token"}] * 2
        assert (("Secret", secret) in objects) == (not changes)


def container_of(kind: tuple[str, str], rendered: dict) -> dict:
    """The one container of a deployment."""
    (container,) = rendered[kind]["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("kind", [GATEWAY, WORKER], ids=["gateway", "worker"])
def test_gateway_and_workers_are_given_the_artifact_root(render, kind):
    container = container_of(kind, render({"model": {"storage": {"region": "eu-1"}}}))
    environment = {e["name"]: e.get("value") or e["valueFrom"] for e in container["env"]}
    assert "--artifact-root=s3://kinora/video" in container["args"]
    assert environment["KINORA_S3_ENDPOINT"] == "seaweedfs.storage:8333"
    assert environment["KINORA_S3_SECURE"] == "true"
    assert environment["AWS_REGION"] == "eu-1"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert environment[name] == {"secretKeyRef": {"name": "kinora-artifacts", "key": name}}


def test_workers_stay_with_a_version(render):
    assert not any("model-version" in argument for argument in container_of(WORKER, render())["args"])
    fixed = container_of(WORKER, render({"model": {"version": "0123456789abcdef"}}))
    assert "--model-version=0123456789abcdef" in fixed["args"]


def test_only_gateway_and_workers_have_the_storage_keys(render):
    for container in containers(render()):
        names = {e["name"] for e in container.get("env", [])}
        assert ("AWS_SECRET_ACCESS_KEY" in names) == (container["name"] in ("gateway", "worker"))


def test_only_the_gateway_has_the_servers_of_the_feature_store(render):
    """Either server may be missing from the Secret, and without a Secret both are."""
    for secret in ("", "features"):
        for container in containers(render({"features": {"existingSecret": secret}})):
            given = {e["name"]: e["valueFrom"] for e in container.get("env", []) if "FEATURES" in e["name"]}
            names = (REGISTRY, ONLINE) if secret and container["name"] == "gateway" else ()
            assert given == {n: {"secretKeyRef": {"name": secret, "key": n, "optional": True}} for n in names}


@pytest.mark.parametrize(("keeps", "value"), [(True, "1"), (False, "0")])
def test_the_log_of_requests_can_be_switched_off(render, keeps, value):
    environment = container_of(GATEWAY, render({"gateway": {"requestLog": keeps}}))["env"]
    assert {"name": SWITCH, "value": value} in environment


def test_the_gateway_has_room_for_its_copy_of_the_feature_store(render):
    pod = render({"gateway": {"temporaryStorage": "3Gi"}})[GATEWAY]["spec"]["template"]["spec"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "3Gi"}} in pod["volumes"]


def test_workers_scale_on_unfinished_jobs(render):
    specification = render()["ScaledObject", "demo-kinora-worker"]["spec"]
    assert specification["scaleTargetRef"]["name"] == WORKER[1]
    formula = specification["advanced"]["scalingModifiers"]["formula"]
    assert set(re.findall(r"\w+", formula)) == {trigger["name"] for trigger in specification["triggers"]}
    for trigger in specification["triggers"]:
        assert trigger["metadata"]["url"] == "http://demo-kinora-gateway.kinora-serving:80/metrics"
        assert trigger["metadata"]["valueLocation"] == f"kinora_jobs_{trigger['name']}"


def test_the_autoscaler_alone_sets_the_number_of_workers(render):
    assert "replicas" not in render()[WORKER]["spec"]
    without = render(VARIANTS["no autoscaler"])
    assert without[WORKER]["spec"]["replicas"] == 3
    assert ("ScaledObject", "demo-kinora-worker") not in without


def test_selectors_find_their_pods(rendered):
    labels = {
        name: d["spec"]["template"]["metadata"]["labels"]
        for (kind, name), d in rendered.items()
        if kind == "Deployment"
    }
    labels |= {name: d["metadata"]["labels"] for (kind, name), d in rendered.items() if kind == "Pod"}
    for (kind, name), document in rendered.items():
        specification = document.get("spec", {})
        selector = {
            "Deployment": lambda s: s["selector"]["matchLabels"],
            "Service": lambda s: s["selector"],
            "PodDisruptionBudget": lambda s: s["selector"]["matchLabels"],
            "NetworkPolicy": lambda s: s["podSelector"]["matchLabels"],
        }.get(kind)
        if selector:
            wanted = selector(specification).items()
            found = [pod for pod, have in labels.items() if wanted <= have.items()]
            assert found == [name], (kind, name)


def test_pod_labels_do_not_change_with_the_version(render):
    """Or every upgrade of the chart would restart every pod."""
    for kind in (GATEWAY, WORKER):
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(
            render()[kind]["spec"]["template"]["metadata"]["labels"]
        )


def egress_ports(policy: dict) -> list[str | int]:
    """The ports that a network policy opens; a rule without ports would open all."""
    return [port["port"] for rule in policy["egress"] for port in rule["ports"]]


def test_network_policies_allow_what_is_needed_and_no_more(render):
    objects = render()
    gateway = objects["NetworkPolicy", "demo-kinora-gateway"]["spec"]
    worker = objects["NetworkPolicy", "demo-kinora-worker"]["spec"]
    assert worker["ingress"] == []
    peers = [peer for rule in gateway["ingress"] for peer in rule.get("from", [])]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}} in peers
    assert egress_ports(worker) == ["http", 53, 53, 8333]  # the gateway, the name service, S3
    assert egress_ports(gateway) == [53, 53, 8333]
    asked = {"features": {"existingSecret": "features"}, "networkPolicy": {"featurePorts": [5432]}}
    gateway = render(asked)["NetworkPolicy", "demo-kinora-gateway"]["spec"]
    assert egress_ports(gateway) == [53, 53, 8333, 5432]


@pytest.mark.parametrize(
    ("storage", "ports", "expected"),
    [
        ({"endpoint": "s3.example.org", "secure": True}, [], [443]),
        ({"endpoint": "s3.example.org", "secure": False}, [], [80]),
        ({"endpoint": "s3:80"}, [9000, 9001], [9000, 9001]),
    ],
)
def test_storage_ports(render, storage, ports, expected):
    objects = render({"model": {"storage": storage}, "networkPolicy": {"storagePorts": ports}})
    for component in ("gateway", "worker"):
        rule = objects["NetworkPolicy", f"demo-kinora-{component}"]["spec"]["egress"][-1]
        assert [port["port"] for port in rule["ports"]] == expected


def test_the_outside_does_not_reach_the_internal_routes(render):
    ingress = render(VARIANTS["public"])["Ingress", "demo-kinora-gateway"]["spec"]
    (rule,) = ingress["rules"]
    for path in rule["http"]["paths"]:
        assert path["pathType"] == "Exact" or not "/internal".startswith(path["path"])


def test_notes_say_where_the_endpoint_is(chart, complete_values):
    def notes(changes):
        return chart.render(complete_values | changes, name="demo", namespace="n")["kinora/templates/NOTES.txt"]

    assert "port-forward service/demo-kinora-gateway 3000:80" in notes({})
    assert "https://video.example.org" in notes({"ingress": VARIANTS["public"]["ingress"]})
    assert "EXTERNAL-IP" in notes({"service": {"type": "LoadBalancer"}})


def test_notes_say_what_is_kept(chart, complete_values):
    def notes(values):
        return chart.render(values, name="demo", namespace="n")["kinora/templates/NOTES.txt"]

    assert f"is kept for {DAYS_KEPT} days in s3://kinora/video/{REQUESTS};" in notes(complete_values)
    assert f"is kept for {DAYS_KEPT} days beside the queue;" in notes({})
    assert "is kept" not in notes(complete_values | {"gateway": {"requestLog": False}})


@pytest.fixture(scope="module")
def readme(folder):
    """charts/readme.py, which is a script and in no package."""
    specification = importlib.util.spec_from_file_location("charts_readme", folder.parent / "readme.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_readme_table_is_that_of_the_values(readme, folder):
    text = (folder / "README.md").read_text()
    assert readme.with_table(text, folder / "values.yaml") == text
    assert readme.with_table(text.replace("`autoscaling.maxReplicas` | `4`", ""), folder / "values.yaml") == text


def test_every_value_is_described(readme, chart, folder):
    described = [name for name, _, _ in readme.described_values(folder / "values.yaml")]

    def leaves(values: dict, where: str = "") -> list[str]:
        return [
            leaf
            for key, value in values.items()
            for leaf in (leaves(value, f"{where}{key}.") if isinstance(value, dict) and value else [where + key])
        ]

    for leaf in leaves(chart.values):
        assert any(leaf == name or leaf.startswith(f"{name}.") for name in described), leaf
