// Runs the real program as a user would, and looks at what it left.
#pragma once

#include "support/scratch.h"

#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench::testing {

struct Finished {
  int status = 0;  // exit status; 128 + signal when killed
  std::string out, err;
};

class Program {
 public:
  // Each test has its own working folder, with a cache of its own.
  Program(const Scratch& scratch, std::vector<std::string> arguments, std::string tag = "")
      : out_(scratch / (tag + "stdout")), err_(scratch / (tag + "stderr")) {
    arguments.insert(arguments.begin(), NMLBENCH_PROGRAM);
    child_ = ::fork();
    if (child_ != 0) return;
    ::chdir(scratch.path().c_str());
    ::setenv("NMLBENCH_CACHE_DIR", (scratch / "cache").c_str(), 1);
    ::setenv("XDG_DATA_HOME", (scratch / "data-home").c_str(), 1);
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const { ::kill(child_, number); }

  Finished wait() const {
    int status = 0;
    ::waitpid(child_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(out_), read_text(err_)};
  }

 private:
  std::filesystem::path out_, err_;
  pid_t child_;
};

inline Finished run(const Scratch& scratch, const std::vector<std::string>& arguments) {
  return Program(scratch, arguments).wait();
}

// Every row of v_results: "cell test_set metric" -> value.
inline std::map<std::string, double> result_rows(const std::filesystem::path& db) {
  const SQLite::Database database(db.string());
  SQLite::Statement query(
      database, "SELECT cell_id || ' ' || test_set || ' ' || metric, value FROM v_results WHERE status = 'done'");
  std::map<std::string, double> rows;
  while (query.executeStep()) {
    if (!rows.emplace(query.getColumn(0).getString(), query.getColumn(1).getDouble()).second) {
      throw std::runtime_error("a row is there twice: " + query.getColumn(0).getString());
    }
  }
  return rows;
}

inline std::int64_t count(const std::filesystem::path& db, const std::string& sql) {
  constexpr int kPatience = 5000;  // ms: somebody may be writing
  SQLite::Database database(db.string(), SQLite::OPEN_READONLY, kPatience);
  return database.execAndGet(sql).getInt64();
}

}  // namespace nmlbench::testing
