// The application: all commands, and errors of parsing as one line that names the nearest right word.
#include <optional>
#include <string>
#include <vector>

#include "server/cli/cli.h"
#include "server/config.h"
#include "server/console.h"
#include "server/serve.h"
#include "server/version.h"

namespace stele::server::cli {
namespace {

// The innermost command that was named.
const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(command->get_name());
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

std::string explain(const CLI::App& app, const CLI::ParseError& failure) {
  std::string text = failure.what();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  const CLI::App& command = innermost(app);
  // What was left over comes first: a misspelt command shows as a missing one.
  if (const auto left = app.remaining(true); !left.empty()) {
    const std::string word = left.front().substr(0, left.front().find('='));
    text = "'" + word + "' is not understood";
    text += did_you_mean(word, words_of(command));
  }
  std::string path = command.get_name();
  for (const CLI::App* at = command.get_parent(); at; at = at->get_parent())
    path.insert(0, at->get_name() + " ");
  return text + " (" + path + " --help tells more)";
}

}  // namespace

void add_serve(CLI::App& app, Chosen& chosen, const std::map<std::string, std::string>& environment) {
  struct Given {
    std::map<std::string, std::vector<std::string>> flags;
    std::string config_file;
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("serve", "Runs a node until SIGTERM or SIGINT");
  const Config defaults;
  for (const Option& option : options()) {
    const std::string shown = option.show(defaults);
    auto* flag = command
                     ->add_option("--" + option.name, given->flags[option.name],
                                  option.help + (shown.empty() ? "" : " [" + shown + "]"))
                     ->type_name(option.value)
                     ->allow_extra_args(false);
    if (!option.repeatable) flag->expected(1);
  }
  command->add_option("--config", given->config_file, "TOML file with flags as keys")->type_name("FILE");
  command->footer(
      "Each flag is also a key of the file and a variable of the environment: STELE_SESSION_QUEUE_BYTES.\n"
      "The flag goes before the variable, that before the file.");
  command->callback([&chosen, given, &environment] {
    chosen.run = [given, &environment] {
      ServeArguments arguments{.flags = {}, .config_file = std::nullopt, .environment = environment};
      for (const auto& [name, values] : given->flags) {
        if (!values.empty()) arguments.flags[name] = values;
      }
      if (!given->config_file.empty()) arguments.config_file = given->config_file;
      return serve(arguments);
    };
  });
}

void add_version(CLI::App& app, Chosen& chosen, std::string_view commit) {
  app.add_subcommand("version", "Tells the version")->callback([&chosen, commit] {
    chosen.run = [commit] { return print(version_line(commit) + "\n") ? kDone : kFailed; };
  });
}

int run(int argc, const char* const* argv, const std::map<std::string, std::string>& environment,
        std::string_view commit) {
  CLI::App app("Stele: one durable log, read and written as MQTT and Kafka", "stele");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Tells the flags of the command");
  Chosen chosen;
  add_serve(app, chosen, environment);
  add_topic(app, chosen, environment);
  add_user(app, chosen, environment);
  add_acl(app, chosen, environment);
  add_tenant(app, chosen, environment);
  add_cluster(app, chosen, environment);
  add_pub(app, chosen, environment);
  add_sub(app, chosen, environment);
  add_bench(app, chosen);
  add_verify(app, chosen);
  add_version(app, chosen, commit);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success&) {
    return print(innermost(app).help()) ? kDone : kFailed;
  } catch (const CLI::ParseError& failure) {
    complain(explain(app, failure));
    return kWrongUse;
  }
  return chosen.run();
}

}  // namespace stele::server::cli
