"""What the package uwsgi-prometheus makes of an instance's statistics: `name value` a line.

collector.py URL
"""
import sys

from uwsgi_prometheus.collectors import UWSGIStatsCollector

for family in UWSGIStatsCollector(stats_url=sys.argv[1], timeout=20).collect():
    for sample in family.samples:
        print(sample.name, sample.value)
