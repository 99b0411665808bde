"""Reads a page of metrics as Prometheus' own library does, and prints it as JSON.

metrics.py URL: {family: [type, {"sample{labels}": value}]}
"""
import json
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

page = urllib.request.urlopen(sys.argv[1], timeout=20).read().decode()
families = {}
for family in text_string_to_metric_families(page):
    samples = {}
    for sample in family.samples:
        labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
        key = f"{sample.name}{{{labels}}}" if labels else sample.name
        assert key not in samples, key
        samples[key] = sample.value
    families[family.name] = [family.type, samples]
json.dump(families, sys.stdout)
