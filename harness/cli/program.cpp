#include "cli/program.h"

#include "cli/signals.h"
#include "support/environment.h"
#include "support/words.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

std::string join_arguments(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i > 0 ? " " : "") + std::string(argv[i]);
  return line;
}

// A log line may hold names from anywhere.
class PrintableMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string text = printable({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PrintableMessage>(); }
};

// Standard output carries results; progress and logs go to standard error.
void set_up_logging(const Globals& globals) {
  const bool plain = !environment("NO_COLOR").empty();
  spdlog::set_default_logger(
      spdlog::stderr_color_mt("nmlbench", plain ? spdlog::color_mode::never : spdlog::color_mode::automatic));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('*').set_pattern("%H:%M:%S %^%l%$ %*");
  spdlog::set_formatter(std::move(formatter));
  // --quiet silences the terminal, not the log that a run keeps in its database
  if (globals.quiet) spdlog::default_logger()->sinks().front()->set_level(spdlog::level::err);
  spdlog::set_level(globals.verbose ? spdlog::level::debug : spdlog::level::info);
}

// CLI11 says of a verb that it does not know only that one is required.
void reject_unknown_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); }))
    verbs.push_back(verb->get_name());
  if (std::find(verbs.begin(), verbs.end(), argv[1]) != verbs.end()) return;  // something of its own is missing
  throw Error(fmt::format("no verb \"{}\"{}", argv[1], suggestion(argv[1], verbs)));
}

int parse_and_act(int argc, char** argv, std::span<const AddVerb> verbs) {
  CLI::App app{"nmlbench: benchmark harness for noisy model learning", "nmlbench"};
  app.set_version_flag("--version", NMLBENCH_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return fmt::format("nmlbench: error: {}; --help says what there is\n", error.what());
  });

  Globals globals;
  globals.command_line = join_arguments(argc, argv);
  app.add_option("--plugin-dir", globals.plugin_dirs, "Folder with plugin libraries (repeatable)");
  app.add_flag("--allow-shared-plugins", globals.allow_shared_plugins,
               "Load plugins from folders that others can write")
      ->envname("NMLBENCH_ALLOW_SHARED_PLUGINS");
  app.add_option("--cache-dir", globals.cache_dir, "Checkpoints and features")->envname("NMLBENCH_CACHE_DIR");
  app.add_option("--image-cache-gb", globals.image_cache_gb, "Decoded images kept in the cache, in GB; 0 keeps none")
      ->envname("NMLBENCH_IMAGE_CACHE_GB")
      ->check(CLI::Range(0.0, 1e6))
      ->check([](const std::string& text) {  // which passes for every range
        return std::isnan(std::strtod(text.c_str(), nullptr)) ? text + " is no number" : std::string();
      })
      ->capture_default_str();
  app.add_option("--threads", globals.threads, "CPU threads; 0 means all cores")
      ->envname("NMLBENCH_THREADS")
      ->check(CLI::Range(0, 4096));
  app.add_flag("--quiet", globals.quiet, "Errors only");
  app.add_flag("--verbose", globals.verbose, "Details");

  Action action;
  for (const AddVerb add : verbs) add(app, globals, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) reject_unknown_verb(app, argc, argv);
    return app.exit(error) == 0 ? kDone : kBadInput;
  }
  set_up_logging(globals);
  return action();
}

}  // namespace

bool has_verb(std::span<const AddVerb> verbs, const std::string& name) {
  CLI::App app;
  Globals globals;
  Action action;
  for (const AddVerb add : verbs) add(app, globals, action);
  return !app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; }).empty();
}

namespace {

// A file that is opened while standard output is closed would take its place, and results would be printed into it.
// What takes the place here cannot be written, so that printing is an error.
void occupy_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) {
      ::open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

// What is buffered counts as printed only when it has arrived. `code`: errno of a write that has failed before, or 0.
void require_printed(int code = 0) {
  errno = code;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw Error(fmt::format("standard output cannot be written{}{}", errno != 0 ? ": " : "",
                          errno != 0 ? std::strerror(errno) : ""));
}

int act_and_print(int argc, char** argv, std::span<const AddVerb> verbs) {
  try {
    const int status = parse_and_act(argc, argv, verbs);
    require_printed();
    return status;
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) != 0) require_printed(error.code().value());  // fmt's own text does not name the file
    throw;
  }
}

}  // namespace

int run_program(int argc, char** argv, std::span<const AddVerb> verbs) {
  occupy_standard_descriptors();
  end_on_signals();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is an error of writing like others
  try {
    return act_and_print(argc, argv, verbs);
  } catch (const Interrupted&) {
    fmt::print(stderr, "nmlbench: interrupted; what was finished is stored, the same command goes on with the rest\n");
    return kInterrupted;
  } catch (const std::bad_alloc&) {
    std::fputs("nmlbench: error: out of memory; close other programs or use a smaller matrix\n", stderr);
    return kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "nmlbench: error: {}\n", printable(error.what()));
    return kBadInput;
  }
}

}  // namespace nmlbench::cli
