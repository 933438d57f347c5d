# Every target is one command of scripts/hub.py; `make variables` lists what can be
# changed, for example: make demo HUB_PORT=9000
PYTHON ?= python3
HUB := $(PYTHON) scripts/hub.py

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
	  awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## get Odoo 19, the Python parts and PostgreSQL
	@$(HUB) setup

.PHONY: demo
demo: ## start the demo and run the main job (RESET=1: with a new database)
	@$(HUB) demo $(if $(RESET),--reset)

.PHONY: stop
stop: ## stop the demo, the receiver and PostgreSQL
	@$(HUB) stop

.PHONY: status
status: ## tell what is running
	@$(HUB) status

.PHONY: test
test: ## run all tests (ONLY=pure, odoo or system; HUB_TEST_TAGS=/finance_hub:TestX)
	@$(HUB) test $(if $(ONLY),--only $(ONLY))

.PHONY: bench
bench: ## measure the speed (ARGS="name name"; QUICK=1: small loads)
	@$(HUB) bench $(if $(QUICK),--quick) $(ARGS)

.PHONY: month
month: ## run a shop's month twice, in order and in disorder (SAMPLES=folder of files)
	@$(HUB) month $(if $(SAMPLES),--samples=$(SAMPLES)) $(ARGS)

.PHONY: lint
lint: ## run all linters
	@$(HUB) lint

.PHONY: format
format: ## let the linters correct what they can
	@$(HUB) lint --fix

.PHONY: wheel
wheel: ## build the wheel into dist/
	@$(HUB) wheel

.PHONY: schemas
schemas: ## freeze the published schemas of the events
	@$(HUB) schemas

.PHONY: lock
lock: ## renew the lock files in requirements/
	@$(HUB) lock

.PHONY: screenshots
screenshots: ## photograph every screen of the running demo
	@$(HUB) screenshots

.PHONY: shell
shell: ## an Odoo shell on the demo database
	@$(HUB) shell

.PHONY: psql
psql: ## psql on the demo database
	@$(HUB) psql

.PHONY: logs
logs: ## follow the logs
	@$(HUB) logs

.PHONY: variables
variables: ## list the variables that change the defaults
	@$(HUB) variables

.PHONY: clean
clean: ## stop everything and delete the state folder and the databases
	@$(HUB) clean
