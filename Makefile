# Names for the scripts, and installation. Nothing is done here that a script or
# cargo does not do by itself.

PREFIX ?= /usr/local
DESTDIR ?=
TARGET = $(shell cargo metadata --no-deps --locked --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
BINARY = $(TARGET)/release/indexer
COMPLETIONS = $(TARGET)/completions

.PHONY: try test ci lint bench completions install uninstall

try: ## build, get the model, index this repository, answer a question
	./scripts/try

test: ## the whole test suite
	./scripts/test

ci: ## all that must hold before a change lands
	./.ci/run

lint: ## format and lints only
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings

bench: ## REPO=path to a clone of the pinned repository; see benches/README.md
	python3 benches/run.py --repository "$(REPO)"

completions: ## completions for bash, zsh and fish, made by the program itself
	cargo build --locked --release
	mkdir -p "$(COMPLETIONS)"
	"$(BINARY)" completions bash > "$(COMPLETIONS)/indexer"
	"$(BINARY)" completions zsh > "$(COMPLETIONS)/_indexer"
	"$(BINARY)" completions fish > "$(COMPLETIONS)/indexer.fish"

install: completions
	install -d "$(DESTDIR)$(PREFIX)/bin" \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" \
	  "$(DESTDIR)$(PREFIX)/share/zsh/site-functions" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d" \
	  "$(DESTDIR)$(PREFIX)/share/doc/contextd-indexer"
	install -m 755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/indexer"
	install -m 644 "$(COMPLETIONS)/indexer" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/indexer"
	install -m 644 "$(COMPLETIONS)/_indexer" "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_indexer"
	install -m 644 "$(COMPLETIONS)/indexer.fish" "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/indexer.fish"
	install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$(DESTDIR)$(PREFIX)/share/doc/contextd-indexer/"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/indexer" \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/indexer" \
	  "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_indexer" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/indexer.fish"
	rm -rf "$(DESTDIR)$(PREFIX)/share/doc/contextd-indexer"
