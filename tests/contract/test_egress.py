"""Which addresses may be connected to, and by whose word."""

import re
from ipaddress import ip_address

import pytest

from gateway.contract.egress import Egress, Reach, literal, network, reach_of

PRIVATE = (
    "it is on this machine or in a private network, where only manifests in files and those that an admin applied "
    "may lead; GATEWAY_EGRESS_ALLOW can list networks for all"
)
NEVER = "it is a link-local address or that of a metadata service, which the gateway never calls"


@pytest.mark.parametrize(
    ("reach", "addresses"),
    [
        (Reach.PUBLIC, "1.1.1.1 8.8.8.8 172.15.255.255 172.32.0.1"),
        (Reach.PUBLIC, "100.63.255.255 100.128.0.1 192.0.1.1 198.17.0.1 223.255.255.255"),
        (Reach.PUBLIC, "2606:4700::1111 2001:4860:4860::8888 2400:cb00::1 2001:200::1"),
        (Reach.PUBLIC, "::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1 ::ffff:0:1.1.1.1"),
        (Reach.PRIVATE, "127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3"),
        (Reach.PRIVATE, "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1"),
        (Reach.PRIVATE, "100.64.0.1 100.127.255.255 192.0.0.1 192.0.2.1"),
        (Reach.PRIVATE, "198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1"),
        (Reach.PRIVATE, "224.0.0.1 232.1.1.1 239.255.255.255 240.0.0.1 255.255.255.255"),
        (Reach.PRIVATE, ":: ::1 fc00::1 fd12:3456::1 fec0::1 ff02::1 ff0e::1 2001:db8::1 3fff::1 5f00::1 100::1 1::1"),
        (Reach.PRIVATE, "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1"),
        (Reach.PRIVATE, "::10.0.0.1 ::1.1.1.1 64:ff9b::7f00:1 64:ff9b::a00:1"),
        (Reach.PRIVATE, "64:ff9b:1::101:101 2002:7f00:1::1"),
        (Reach.PRIVATE, "2002:a00:1:: 2001:0:101:101:0:0:fefe:fefe ::ffff:0:10.0.0.1"),
        (Reach.PRIVATE, "2606:4700::5efe:10.0.0.1 2606:4700::200:5efe:127.0.0.1"),
        (Reach.NEVER, "169.254.169.254 169.254.0.1 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192"),
        (Reach.NEVER, "fe80::1 febf::1 fe80::1%2 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe"),
        (Reach.NEVER, "::ffff:169.254.169.254 ::169.254.169.254"),
        (Reach.NEVER, "64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::1"),
        (Reach.NEVER, "2001:0:a9fe:a9fe:: 2001:0:101:101:0:0:5601:5601"),
        (Reach.NEVER, "2606:4700::5efe:169.254.169.254 ::ffff:168.63.129.16"),
    ],
)
def test_where_an_address_is(reach, addresses):
    """However an IPv4 address is wrapped into an IPv6 one: it may be unwrapped on the way."""
    found = {text: reach_of(ip_address(text)).name for text in addresses.split()}

    assert found == dict.fromkeys(addresses.split(), reach.name)


@pytest.mark.parametrize(
    ("address", "untrusted", "trusted"),
    [("1.1.1.1", None, None), ("10.0.0.1", PRIVATE, None), ("::1", PRIVATE, None), ("169.254.169.254", NEVER, NEVER)],
)
def test_who_may_go_there(address, untrusted, trusted):
    assert Egress().refusal(address, is_trusted=False) == untrusted
    assert Egress().refusal(address, is_trusted=True) == trusted


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("10.20.3.4", None),
        ("::ffff:10.20.3.4", None),
        ("10.21.0.1", PRIVATE),
        ("fd12::1", None),
        ("fd13::1", PRIVATE),
        ("169.254.1.1", NEVER),
        ("fe80::1", NEVER),
    ],
)
def test_networks_for_all(address, refusal):
    """Those of metadata services are not among them, whatever a setting says."""
    egress = Egress(tuple(map(network, ("10.20.0.0/16", "fd12::/16", "169.254.0.0/16", "fe80::/10"))))

    assert egress.refusal(address, is_trusted=False) == refusal


@pytest.mark.parametrize("text", ["vllm.internal", "10.0.0.1/8", "10.0.0.0/33", "*", "10.0.0.0/8;fd00::/8"])
def test_what_is_no_network(text):
    """One that is misspelled must not be passed over."""
    with pytest.raises(ValueError, match=f"^{re.escape(repr(text))} is no network, as in 10.20.0.0/16,fd12:3456::/48"):
        network(text)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "::ffff:7f00:1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "127.0.0.1"),
        ("a.localhost", "127.0.0.1"),
        ("api.openai.com", None),
        ("localhost.example", None),
        ("1.2.3.4.example", None),
        ("", None),
        ("127.0.0.1 x", None),
    ],
)
def test_hosts_that_are_addresses(host, address):
    found = literal(host)

    assert (found and ip_address(found)) == (address and ip_address(address))  # written otherwise since Python 3.13
