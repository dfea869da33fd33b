"""The chart: what it makes of values, which values it refuses, and a gateway that runs as it says."""

import os
import shutil
import subprocess
from itertools import pairwise

import pytest
import yaml

TOKEN = "gw-test-0123456789abcdef"
SECRET = {"GATEWAY_ADMIN_TOKEN": TOKEN, "GATEWAY_PEPPER": "pepper-of-the-tests-0123456789"}
NAME = "llm-llm-asgi-gateway"
DATABASE = {"database": {"enabled": True}, "secrets": {"existingSecret": "gateway"}}
CUSTOM = {"HTTPRoute", "ServiceMonitor", "PrometheusRule", "ExternalSecret"}
"""Kinds that no cluster knows by itself."""


def test_lints(helm, deploy):
    report = helm.lint(deploy / "helm/llm-asgi-gateway", strict=True)

    assert (report["errors"], [each["error"] for each in report["messages"] if each["severity"] > 1]) == ([], [])


def test_a_package_holds_what_its_links_lead_to(helm, deploy, tmp_path):
    """Alerts and dashboard stand once in this repository, outside of the chart."""
    package = helm.Chart.load(helm.package(deploy / "helm/llm-asgi-gateway", destination=tmp_path))

    files = {file["name"]: file["data"] for file in package.files}
    assert sorted(files) == [".helmignore", "files/alerts.yaml", "files/dashboard.json"]
    assert package.render({"prometheusRule": {"enabled": True}}, name="llm")[
        "llm-asgi-gateway/templates/prometheusrule.yaml"
    ].count("alert:") == len(yaml.safe_load((deploy / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"])


@pytest.mark.parametrize("version", ["1.34", "1.35", "1.36", "1.37"])
def test_is_what_kubernetes_takes(render, each_values, version):
    kubernetes = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")

    faults = []
    for key, document in render(each_values).items():
        if key != "NOTES" and key[0] not in CUSTOM:
            try:
                kubernetes.validate(document, version, strict=True)
            except kubernetes.ValidationError as error:
                faults.append((key, str(error)))

    assert faults == []


def test_makes_little_unless_asked(render):
    assert sorted(key for key in render({}) if key != "NOTES") == [
        ("Deployment", NAME),
        ("Pod", f"{NAME}-test"),
        ("PodDisruptionBudget", NAME),
        ("Service", NAME),
        ("ServiceAccount", NAME),
    ]


def test_makes_all_of_it(render, values):
    assert sorted({key[0] for key in render(values("everything")) if key != "NOTES"}) == [
        "ConfigMap",
        "Deployment",
        "ExternalSecret",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ]


def test_no_secret_is_made_of_values(render, each_values):
    """They would stand in the release, and in git."""
    assert [key for key in render(each_values) if key[0] == "Secret"] == []


TYPOS = [
    {"replicas": 2},
    {"replicaCount": "2"},
    {"server": "gunicorn"},
    {"image": {"name": "x"}},
    {"image": {"digest": "latest"}},
    {"drainSecond": 10},
    {"drainSeconds": "5m"},
    {"config": {"gateway": "type: x"}},
    {"config": "type: x"},
    {"secrets": {"existingsecret": "x"}},
    {"secrets": {"files": [{"group": "x"}]}},
    {"database": {"url": "postgresql://user:password@db/x"}},
    {"redis": {"enable": True}},
    {"migrations": {"mode": "job"}},
    {"persistence": {"size": "5GB"}},
    {"extraEnv": {"A": "b"}},
    {"resources": {"limit": {"memory": "1Gi"}}},
    {"cloudIdentity": {"aws": {"roleArn": "gateway"}}},
    {"service": {"port": 0}},
    {"ingress": {"enabled": True}},
    {"ingress": {"enabled": True, "hosts": ["a.example"], "paths": ["v1"]}},
    {"httpRoute": {"enabled": True, "hostnames": ["a.example"]}},
    {"autoscaling": {"enabled": True, "maxReplica": 4}},
    {"podDisruptionBudget": {"maxUnavailable": 0}},
    {"networkPolicy": {"ingress": []}},
    {"serviceMonitor": {"interval": "30"}},
    {"livenessProbe": {"httpGet": {"path": "/readyz"}}},
    {"affinity": {"podAntiAfinity": {}}},
    {"podLabels": {"a": 1}},
    {"lingerSeconds": "20s"},
    {"caBundle": {"configmap": "authorities"}},
    {"service": {"ipFamilies": ["ipv6"]}},
    {"autoscaling": {"behavior": {"scaledown": {}}}},
    {"extraEnvs": []},
    {"podAnnotation": {}},
    {"dnsConfig": {"ndots": 2}},
    {"hostAliases": [{"ip": "10.1.2.3", "hostname": "models"}]},
    {"topologySpreadConstraints": [{"topologyKey": "zone"}]},
]


@pytest.mark.parametrize("wrong", TYPOS, ids=str)
def test_refuses_what_is_misspelt(helm, deploy, wrong):
    chart = helm.Chart.load(deploy / "helm/llm-asgi-gateway")

    with pytest.raises(helm.HelmError):
        chart.validate_schema(wrong)


def test_each_value_is_in_the_schema(helm, deploy):
    chart = helm.Chart.load(deploy / "helm/llm-asgi-gateway")

    assert set(chart.schema["properties"]) - {"global"} == set(chart.values)


def test_each_value_has_a_word(deploy):
    lines = (deploy / "helm/llm-asgi-gateway/values.yaml").read_text().splitlines()

    assert [line for before, line in pairwise(lines) if line[:1].isalpha() and before[:1] != "#"] == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"replicaCount": 2}, "more than one replica needs database.enabled"),
        ({"autoscaling": {"enabled": True}}, "more than one replica needs database.enabled"),
        ({"autoscaling": {"minReplicas": 20}}, "minReplicas is above maxReplicas"),
        ({**DATABASE, "autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}}, "autoscaling needs"),
        ({**DATABASE, "replicaCount": 2, "persistence": {"enabled": True}}, "persistence is for one replica alone"),
        ({"database": {"enabled": True}}, "database.enabled needs secrets.existingSecret"),
        ({"redis": {"enabled": True}}, "redis.enabled needs a Secret"),
        ({"config": {"a.yaml": "type: x"}, "existingConfigMap": "b"}, "either config or existingConfigMap"),
        (
            {"secrets": {"existingSecret": "a", "externalSecret": {"enabled": True, "storeRef": {"name": "b"}}}},
            "either existingSecret or externalSecret",
        ),
        (
            {
                "database": {"enabled": True},
                "secrets": {"externalSecret": {"enabled": True, "storeRef": {"name": "b"}}},
            },
            "a hook runs before the ExternalSecret is there",
        ),
    ],
)
def test_says_what_does_not_go_together(render, helm, wrong, word):
    with pytest.raises(helm.HelmRenderError, match=word):
        render(wrong)


def test_selects_the_pods_of_the_gateway_alone(render):
    """A migration that is under way has the labels of the release, and must get no requests."""
    documents = render(DATABASE)
    selector = documents["Service", NAME]["spec"]["selector"]
    pods = {
        key[0]: document["spec"]["template"]["metadata"]["labels"]
        for key, document in documents.items()
        if key[0] in ("Deployment", "Job")
    }

    assert {kind: selector.items() <= labels.items() for kind, labels in pods.items()} == {
        "Deployment": True,
        "Job": False,
    }


def test_the_way_in_does_not_lead_to_the_metrics(render, values):
    """They ask for no token."""
    documents = render(values("everything"))
    route = documents["HTTPRoute", "models"]["spec"]["rules"][0]
    ingress = documents["Ingress", "models"]["spec"]["rules"][0]["http"]["paths"]

    assert [match["path"] for match in route["matches"]] == [
        {"type": "PathPrefix", "value": "/v1"},
        {"type": "PathPrefix", "value": "/api"},
    ]
    assert [(path["path"], path["pathType"]) for path in ingress] == [("/v1", "Prefix"), ("/api", "Prefix")]
    assert route["timeouts"] == {"request": "0s", "backendRequest": "0s"}


def test_scales_by_open_requests(render, values):
    scaler = render(values("replicas"))["HorizontalPodAutoscaler", NAME]["spec"]

    assert scaler["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "gateway_open_requests"},
                "target": {"type": "AverageValue", "averageValue": "300"},
            },
        },
    ]
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 600
    assert "replicas" not in render(values("replicas"))["Deployment", NAME]["spec"]


def test_an_air_gapped_gateway_has_no_way_out(render, values):
    documents = render(values("airgapped"))
    policy = documents["NetworkPolicy", NAME]["spec"]
    pod = documents["Deployment", NAME]["spec"]["template"]["spec"]

    assert [peer for rule in policy["egress"] for peer in rule["to"] if "0.0.0.0/0" in str(peer)] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    images = {container["image"] for container in (*pod["initContainers"], *pod["containers"])}
    assert images == {"registry.internal:5000/platform/llm-asgi-gateway:0.1.0"}


def test_a_migration_finds_what_the_url_of_its_database_names(render):
    """`?sslrootcert=/etc/ca/ca.crt` led nowhere: only the gateway had the volume."""
    given = {
        **DATABASE,
        "caBundle": {"secretName": "authorities"},
        "extraEnv": [{"name": "PGAPPNAME", "value": "gateway"}],
        "extraEnvFrom": [{"configMapRef": {"name": "proxies"}}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
    }
    spec = render(given)["Job", f"{NAME}-migrate"]["spec"]["template"]["spec"]
    [migrate] = spec["containers"]

    assert {mount["name"] for mount in migrate["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert {mount["mountPath"] for mount in migrate["volumeMounts"]} == {"/tmp", "/etc/gateway-ca", "/etc/ca"}
    assert [entry["name"] for entry in migrate["env"]] == ["GATEWAY_DATABASE_URL", "SSL_CERT_FILE", "PGAPPNAME"]
    assert migrate["envFrom"] == [{"configMapRef": {"name": "proxies"}}]


def test_a_bundle_of_authorities_is_where_it_is_looked_for(render, values):
    spec = render(values("everything"))["Deployment", "models"]["spec"]["template"]["spec"]
    [gateway] = spec["containers"]

    assert {"name": "SSL_CERT_FILE", "value": "/etc/gateway-ca/company.pem"} in gateway["env"]
    assert {"name": "ca-bundle", "mountPath": "/etc/gateway-ca", "readOnly": True} in gateway["volumeMounts"]
    assert [volume["configMap"] for volume in spec["volumes"] if volume["name"] == "ca-bundle"] == [
        {"name": "authorities", "items": [{"key": "company.pem", "path": "company.pem"}]}
    ]


def test_objects_of_your_own_belong_to_the_release(render, values):
    assert render(values("everything"))["ConfigMap", "llm-notes"]["data"] == {"service": "models"}


def test_listens_in_both_families(render, values):
    documents = render(values("everything"))

    assert documents["Service", "models"]["spec"]["ipFamilies"] == ["IPv6", "IPv4"]
    assert documents["Service", "models"]["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    [gateway] = documents["Deployment", "models"]["spec"]["template"]["spec"]["containers"]
    assert "--host=::" in gateway["args"]


def test_an_external_secret_is_the_one_that_is_used(render, values):
    documents = render(values("everything"))
    secret = documents["ExternalSecret", "models"]["spec"]

    assert secret == {
        "refreshInterval": "1h",
        "secretStoreRef": {"name": "vault", "kind": "ClusterSecretStore"},
        "target": {"name": "models"},
        "dataFrom": [{"extract": {"key": "llm-gateway"}}],
    }
    container = documents["Deployment", "models"]["spec"]["template"]["spec"]["containers"][0]
    assert {"secretRef": {"name": "models"}} in container["envFrom"]


def test_an_identity_of_each_cloud(render, values):
    documents = render(values("everything"))

    assert documents["ServiceAccount", "models"]["metadata"]["annotations"] == {
        "azure.workload.identity/client-id": "01234567-89ab-cdef-0123-456789abcdef",
        "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/gateway",
        "iam.gke.io/gcp-service-account": "gateway@project.iam.gserviceaccount.com",
    }
    labels = documents["Deployment", "models"]["spec"]["template"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"


# --- run as it says --------------------------------------------------------------------------------------------------


def started(cluster, documents):
    """A pod of the Deployment, once it is ready."""
    cluster.apply(documents.values())
    spec = documents["Deployment", NAME]["spec"]["template"]["spec"]
    pod = cluster.start(spec, spec["containers"][0])
    pod.wait_until(pod.is_ready)
    return pod


@pytest.mark.parametrize("values", [{}, {"secrets": {"existingSecret": "gateway"}}], ids=["no secret", "a secret"])
def test_the_notes_work_as_they_are_pasted(render, cluster, kubectl, values):
    """With nothing prepared, too: the pod makes a token by itself."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    documents, secrets = render(values), {"gateway": SECRET}
    pod = started(cluster(secrets=secrets), documents)
    lines = [line for line in documents["NOTES"].splitlines() if line.startswith(("  kubectl", "  TOKEN", "  curl"))]

    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines).replace("127.0.0.1:8787", f"127.0.0.1:{pod.port}")],
        env={"PATH": f"{kubectl(pod, secrets)}{os.pathsep}{os.environ['PATH']}", "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.returncode == 0, ended.stderr
    assert '"id":"demo/echo"' in ended.stdout
    assert ended.stdout.rstrip().endswith("data: [DONE]")


def test_a_changed_config_map_is_in_force_without_a_restart(render, cluster, update):
    account = "type: provider-account/demo\nname: {}\n"
    documents = render({"secrets": {"existingSecret": "gateway"}, "config": {"gateway.yaml": account.format("old")}})
    pod = started(cluster(secrets={"gateway": SECRET}), documents)

    def models():
        return [model["id"] for model in pod.ask("/v1/models", token=TOKEN)[1]["data"]]

    before = models()
    update(pod.mounts["/etc/gateway"], {"gateway.yaml": account.format("new")})
    pod.wait_until(lambda: models() != before)

    assert (before, models()) == (["old/echo"], ["new/echo"])


def test_a_changed_secret_is_in_force_without_a_restart(render, cluster, update):
    """It is mounted as a folder of its group, where references look for it."""
    key = "tfy-secret://acme:llm-keys:openai"
    account = f"type: provider-account/openai\nname: main\nauth_data: {{type: api-key, api_key: '{key}'}}\n"
    account += "integrations: [{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}]\n"
    secrets = {"existingSecret": "gateway", "files": [{"group": "llm-keys", "secretName": "vendor-keys"}]}
    documents = render({"secrets": secrets, "config": {"gateway.yaml": account}})
    pod = started(cluster(secrets={"gateway": SECRET, "vendor-keys": {"openai": "sk-0123456789-first"}}), documents)

    def generation():
        return pod.ask("/readyz")[1]["config"]["generation"]

    update(pod.mounts["/etc/gateway-secrets/llm-keys"], {"openai": "sk-0123456789-second"})
    pod.wait_until(lambda: generation() == 2)

    assert pod.ask("/readyz")[1]["config"]["faults"] == []


def test_a_pod_without_its_token_does_not_start(render, cluster):
    """Rather than make one that nobody knows."""
    documents = render({"secrets": {"existingSecret": "gateway"}})

    with pytest.raises(KeyError, match="GATEWAY_ADMIN_TOKEN"):
        started(cluster(secrets={"gateway": {}}), documents)
