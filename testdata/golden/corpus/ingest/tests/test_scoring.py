import math

import pytest

from courier_ingest.scoring.features import entropy, extract
from courier_ingest.scoring.model import NotFitted, RiskModel, sigmoid


def test_random_addresses_have_high_entropy():
    assert entropy("xq7zk2vw9p") > entropy("anna")


def test_sigmoid_does_not_overflow():
    assert sigmoid(-1000) == 0.0
    assert math.isclose(sigmoid(0), 0.5)


def test_disposable_domains_are_a_feature():
    assert extract({"email": "x@mailinator.com"})[2] == 1.0


def test_risk_model_learns_to_tell_them_apart(tmp_path):
    good = {"email": "ada.lovelace@example.org", "name": "Ada"}
    bad = {"email": "xq7zk2vw9p@mailinator.com"}
    model = RiskModel()
    with pytest.raises(NotFitted):
        model.score(good)
    model.fit([good, bad] * 10, [False, True] * 10)
    assert model.score(bad) > 0.8 > model.score(good)
    model.save(tmp_path / "weights.json")
    assert RiskModel.load(tmp_path / "weights.json").score(bad) == model.score(bad)
