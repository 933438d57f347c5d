# Copyright 2026 Finance Integration Hub contributors
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
{
    "name": "Finance Integration Hub: Benchmarks",
    "summary": "The references that the hub is measured against",
    "version": "19.0.0.1.0",
    "category": "Hidden",
    "license": "LGPL-3",
    "author": "Finance Integration Hub contributors",
    "depends": ["finance_hub"],
    "data": ["security/ir.model.access.csv", "data/queue_job.xml"],
    "installable": True,
}
