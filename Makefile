# 两条命令：make run 装好并启动，make test 装好并运行全部测试。其余：make lint、make lock、make samples、make clean。
VENV ?= .venv
PORT ?= 8000
BIN := $(VENV)/bin
# For the CPU build of torch: TORCH_OPTIONS="--index-url <address of PyTorch's CPU wheels>"
TORCH_OPTIONS ?=
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' requirements/gpu.in)
COMPILE := ../$(BIN)/pip-compile --quiet --no-header --annotation-style=line --strip-extras \
	--no-emit-find-links --no-emit-index-url --no-emit-trusted-host

.PHONY: run setup test test-production lint lock samples clean

run: setup
	@$(BIN)/python manage.py create_demo
	@echo "打开 http://127.0.0.1:$(PORT)/ （Ctrl+C 停止）"
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/honcho start --port $(PORT)

setup: $(VENV)/.base
	@$(BIN)/python manage.py migrate --noinput --verbosity 0
	@$(BIN)/python manage.py sync_dictionaries
	@$(BIN)/python manage.py collectstatic --noinput --verbosity 0

test: $(VENV)/.dev
	$(BIN)/pytest $(ARGS)

# The tests of the applications once more, on the servers of production
test-production: $(VENV)/.dev
	@: $${POSTGRES_TEST_URL:?} $${ELASTICSEARCH_TEST_URL:?} $${REDIS_TEST_URL:?}
	SECRET_KEY=test DATABASE_URL=$(POSTGRES_TEST_URL) SEARCH_URL=$(ELASTICSEARCH_TEST_URL) REDIS_URL=$(REDIS_TEST_URL) \
		$(BIN)/pytest tests/hotline tests/kb --ignore tests/kb/parsing -m "not browser and not evaluation" $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

# Each lock is made anew with the newest versions that requirements/*.in allow. No local build of torch, no CUDA
# packages: they come with whichever build of torch is installed first.
lock: $(VENV)/.dev
	@cd requirements && for name in base ocr gpu dev; do \
		$(COMPILE) --upgrade --output-file $$name.txt $$name.in && \
		sed -i -E -e 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' -e '/^(nvidia-|triton==|cuda-)/d' -e '/^# (The following|setuptools|pip$$)/d' \
			-e 's/ +#/  #/' $$name.txt || exit 1; \
	done

samples: $(VENV)/.base
	$(BIN)/python -m kb.samples.build

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m venv $(VENV); \
		fi; \
	done; echo "需要 Python 3.11 或更新的版本（可用 make run PYTHON=路径 指定）" >&2; exit 1

$(VENV)/.base: requirements/base.txt | $(VENV)/bin/python
	@echo "安装依赖（首次约一两分钟）……"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/bin/python
	@echo "安装测试所需的依赖……"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_OPTIONS) $(TORCH)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@ $(VENV)/.base
