"""What each pod has to keep to: those of the chart, of the sidecar and of whatever else is in `deploy/examples`."""

import ipaddress

import pytest
import yaml

PODS = ("Deployment", "Job", "Pod")
CUT_AND_CLOSE_S = 20
"""What `gateway.servers.run` takes after the drain, at most."""


def pods(documents):
    """(kind, its spec) of each."""
    for document in documents:
        if isinstance(document, dict) and document["kind"] in PODS:
            spec = document["spec"]
            yield document["kind"], spec if document["kind"] == "Pod" else spec["template"]["spec"]


def containers(spec):
    return [*spec.get("initContainers", ()), *spec["containers"]]


def faults(spec, *, user=65532):
    """What the restricted policy of Kubernetes would refuse, and a little more."""
    whole = spec["securityContext"]
    found = [
        ("runs as root", whole.get("runAsNonRoot") is not True),
        ("user", whole.get("runAsUser") != user),
        ("group", whole.get("runAsGroup") != user),
        ("seccomp", whole.get("seccompProfile") != {"type": "RuntimeDefault"}),
        ("token of the cluster", spec.get("automountServiceAccountToken") is not False),
        ("addresses of services in the environment", spec.get("enableServiceLinks") is not False),
        ("shares the host", any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))),
        ("files of the host", any("hostPath" in volume for volume in spec.get("volumes", ()))),
        (
            "a folder without bounds",
            any("emptyDir" in each and not each["emptyDir"]["sizeLimit"] for each in spec.get("volumes", ())),
        ),
    ]
    for container in containers(spec):
        own, name = container["securityContext"], container["name"]
        found += [
            (f"{name}: gains rights", own.get("allowPrivilegeEscalation") is not False),
            (f"{name}: capabilities", own.get("capabilities") != {"drop": ["ALL"]}),
            (f"{name}: writes to its image", own.get("readOnlyRootFilesystem") is not True),
            (f"{name}: privileged", own.get("privileged", False)),
            (f"{name}: port of the host", any("hostPort" in port for port in container.get("ports", ()))),
            (f"{name}: no request", set(container["resources"]["requests"]) != {"cpu", "memory"}),
            (f"{name}: limits other than memory", set(container["resources"]["limits"]) != {"memory"}),
            (f"{name}: no tag", not (":" in container["image"] and not container["image"].endswith(":latest"))),
            (f"{name}: subPath", any("subPath" in mount for mount in container.get("volumeMounts", ()))),
        ]
    return [what for what, is_wrong in found if is_wrong]


def test_pods_of_the_chart(render, each_values):
    is_openshift = "podSecurityContext" in each_values
    user = None if is_openshift else 65532

    assert [(kind, faults(spec, user=user)) for kind, spec in pods(render(each_values).values())] == [
        (kind, []) for kind, _ in pods(render(each_values).values())
    ]


def test_pods_of_the_sidecar(deploy):
    documents = yaml.safe_load_all((deploy / "examples/sidecar/deployment.yaml").read_text())

    assert [(kind, faults(spec)) for kind, spec in pods(documents)] == [("Deployment", [])]


def test_may_write_where_it_works(render, each_values):
    """All else of its image is read-only."""
    for kind, spec in pods(render(each_values).values()):
        if kind == "Deployment":
            [gateway] = spec["containers"]
            mounted = {mount["mountPath"] for mount in gateway["volumeMounts"] if not mount.get("readOnly")}
            assert {"/var/lib/gateway", "/tmp"} <= mounted
            assert gateway["workingDir"] == "/var/lib/gateway"


def test_probes_fit_what_they_ask(render, each_values):
    """A pod that drains is alive and not ready; nothing else than its own event loop may get it killed."""
    for kind, spec in pods(render(each_values).values()):
        if kind == "Deployment":
            [gateway] = spec["containers"]
            asked = {name: gateway[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
            assert asked == {
                "startupProbe": {"path": "/healthz", "port": "http"},
                "livenessProbe": {"path": "/healthz", "port": "http"},
                "readinessProbe": {"path": "/readyz", "port": "http"},
            }
            assert min(gateway[name]["timeoutSeconds"] for name in asked) >= 2
            alive = gateway["livenessProbe"]
            assert alive["periodSeconds"] * alive["failureThreshold"] >= 30


def test_there_is_time_to_end(render, each_values):
    for kind, spec in pods(render(each_values).values()):
        if kind == "Deployment":
            [gateway] = spec["containers"]
            options = dict(arg.split("=") for arg in gateway["args"][1:])
            lasts_s = int(options["--linger-seconds"]) + int(options["--drain-seconds"])
            waits_s = gateway.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            assert spec["terminationGracePeriodSeconds"] >= waits_s + lasts_s + CUT_AND_CLOSE_S


def test_none_is_taken_away_before_another_is_there(render, values):
    deployment = render(values("replicas"))["Deployment", "llm-llm-asgi-gateway"]["spec"]
    budget = render(values("replicas"))["PodDisruptionBudget", "llm-llm-asgi-gateway"]["spec"]

    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_replicas_are_spread(render):
    spec = render({})["Deployment", "llm-llm-asgi-gateway"]["spec"]["template"]["spec"]

    assert [(each["topologyKey"], each["whenUnsatisfiable"]) for each in spec["topologySpreadConstraints"]] == [
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
        ("kubernetes.io/hostname", "ScheduleAnyway"),
    ]


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "100.64.0.1", "169.254.169.254", "172.31.255.1", "192.168.0.1", "fd00::1", "fe80::1"]
)
def test_the_internet_is_not_what_is_private(render, address):
    """A second wall behind the gateway's own look at addresses: metadata servers, the API of the cluster."""
    policy = render({"networkPolicy": {"enabled": True}})["NetworkPolicy", "llm-llm-asgi-gateway"]["spec"]
    ip = ipaddress.ip_address(address)

    blocks = [peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]
    allowed = [
        block["cidr"]
        for block in blocks
        if ip in ipaddress.ip_network(block["cidr"])
        and not any(ip in ipaddress.ip_network(each) for each in block.get("except", ()))
    ]
    assert allowed == []
    assert [block["cidr"] for block in blocks if "except" in block] == ["0.0.0.0/0", "::/0"]


def test_a_variable_stands_once(render, each_values):
    for _, spec in pods(render(each_values).values()):
        for container in containers(spec):
            names = [entry["name"] for entry in container.get("env", ())]
            assert len(names) == len(set(names))
