"""`nmlbench report` in a headless Chromium: charts are drawn, tables sort and filter, nothing is fetched or logged."""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from webdriver import Browser

PHONE, DESKTOP = 390, 1280
SECTIONS = ["noise", "tasks", "differences", "features", "spectra", "fractions", "cost", "transitions"]

# For each chart: its section and how many colours its canvas holds (one: nothing was drawn).
DRAWN = """
return [...document.querySelectorAll("[data-chart] .plot canvas")].map(canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), colours = new Set();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
  return {section: canvas.closest("[data-chart]").dataset.chart, title: canvas.getAttribute("aria-label"), colours: colours.size};
});"""
COLUMN = """
const column = arguments[0];
return [...document.querySelectorAll("#leaderboard tbody tr")].filter(row => !row.hidden).map(row => row.cells[column].textContent);"""
HEADERS = "return [...document.querySelectorAll('#leaderboard th')].map(th => th.textContent);"


def eventually(condition, seconds=10):
    """Whether the condition comes true: browsers fire some events when they next draw."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class ReportTest(unittest.TestCase):
    folder = browser = screenshots = None  # set by main()

    def show(self, name, width=DESKTOP, scheme="light"):
        self.browser.look(width, scheme)
        self.browser.open(self.folder / f"{name}.html")

    def tearDown(self):
        """Whatever a test did, the page neither complained nor reached out."""
        self.assertEqual(self.browser.problems(), [])
        self.assertEqual([url for url in self.browser.requests() if not url.startswith("file:")], [])

    def test_every_chart_is_drawn_in_every_look(self):
        for width in (PHONE, DESKTOP):
            for scheme in ("light", "dark"):
                with self.subTest(width=width, scheme=scheme):
                    self.show("full", width, scheme)
                    charts = self.browser.run(DRAWN)
                    self.assertEqual([s for s in SECTIONS if all(chart["section"] != s for chart in charts)], [])
                    self.assertEqual([chart for chart in charts if chart["colours"] < 4], [])
                    self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), width)

    def test_dark_and_light_differ(self):
        grounds = []
        for scheme in ("light", "dark"):
            self.show("full", scheme=scheme)
            grounds.append(self.browser.run("return getComputedStyle(document.body).backgroundColor"))
        self.assertNotEqual(*grounds)

    def test_a_change_of_scheme_redraws_the_charts(self):
        self.show("full", scheme="light")
        pixels = "return document.querySelector('[data-chart=noise] .plot canvas').toDataURL();"
        before = self.browser.run(pixels)
        self.browser.look(DESKTOP, "dark")
        self.assertTrue(eventually(lambda: self.browser.run(pixels) != before))

    def test_axes_have_titles(self):
        self.show("full")
        titles = self.browser.run("""
            return [...document.querySelectorAll("[data-chart] .plot canvas")].flatMap(canvas =>
              Object.values(Chart.getChart(canvas).scales).filter(s => s.options.title.display).map(s => s.options.title.text));""")
        for expected in ("accuracy (%)", "label noise in pre-training (%)", "training data used (%)", "noisy class"):
            self.assertIn(expected, titles)
        self.assertNotIn("", titles)

    def test_the_table_sorts(self):
        self.show("full")
        column = self.browser.run(HEADERS).index("ID")
        header = f"document.querySelectorAll('#leaderboard th')[{column}]"
        for direction, sign in (("ascending", 1), ("descending", -1)):
            self.browser.run(f"{header}.querySelector('button').click()")
            self.assertEqual(self.browser.run(f"return {header}.getAttribute('aria-sort')"), direction)
            values = [sign * float(text.split()[0]) for text in self.browser.run(COLUMN, column)]
            self.assertEqual(values, sorted(values))
            self.assertGreater(len(set(values)), 10)

    def test_the_table_filters(self):
        self.show("full")
        column = self.browser.run(HEADERS).index("tuner")
        everything = self.browser.run(COLUMN, column)
        self.browser.run("""
            const search = document.querySelector("#leaderboard input[type=search]");
            search.value = "NMTUNE pair"; search.dispatchEvent(new Event("input"));""")
        found = self.browser.run(COLUMN, column)
        self.assertEqual(set(found), {"nmtune"})
        self.assertLess(len(found), everything.count("nmtune"))
        self.browser.run("""
            const search = document.querySelector("#leaderboard input[type=search]");
            search.value = ""; search.dispatchEvent(new Event("input"));
            const select = [...document.querySelectorAll("#leaderboard .controls label")].find(l => l.textContent.startsWith("tuner")).querySelector("select");
            select.value = "mlp"; select.dispatchEvent(new Event("change"));""")
        self.assertEqual(len(self.browser.run(COLUMN, column)), everything.count("mlp"))

    def test_the_legend_hides_a_tuner_in_every_chart(self):
        self.show("full")
        lines = """
            return [...document.querySelectorAll("[data-chart=noise] canvas, [data-chart=tasks] canvas")].flatMap(canvas => {
              const chart = Chart.getChart(canvas);
              return chart ? chart.data.datasets.filter(d => d.label === "mlp").map(d => d.label) : []; }).length"""
        self.assertGreater(self.browser.run(lines), 4)
        self.browser.run("[...document.querySelectorAll('[data-chart=noise] .legend button')].find(b => b.textContent === 'mlp').click()")
        self.assertEqual(self.browser.run(lines), 0)

    def test_the_source_of_features_can_be_chosen(self):
        self.show("full")
        first_point = """
            const chart = Chart.getChart(document.querySelector("[data-chart=transitions] .plot canvas"));
            return chart.canvas.getAttribute("aria-label")"""
        before = self.browser.run(first_point)
        self.browser.run("""
            const select = document.getElementById("panel");
            select.value = [...select.options].find(o => o.text.includes("pair-flip") !== arguments[0].startsWith("pair-flip")).value;
            select.dispatchEvent(new Event("change"));""", before)
        self.assertNotEqual(self.browser.run(first_point).split()[0], before.split()[0])

    def test_numbers_unfold(self):
        self.show("full")
        self.browser.run("document.querySelector('[data-chart=noise] details').open = true")
        rows = "return document.querySelectorAll('[data-chart=noise] details tbody tr').length"
        self.assertTrue(eventually(lambda: self.browser.run(rows) == 4 * 4))  # tuners x noise ratios

    def test_data_is_no_code(self):
        self.show("full")
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        self.assertIn("window.hacked", self.browser.run("return document.querySelector('[data-chart=noise] .legend').textContent"))

    def test_sections_without_data_say_so(self):
        self.show("bare", PHONE)
        self.assertEqual(self.browser.run(DRAWN), [])  # one cell, of an encoder whose noise nobody knows
        for section in SECTIONS + ["failures"]:
            text = self.browser.run("return document.querySelector(`#${arguments[0]} p`).textContent", section)
            self.assertTrue(text.endswith("."), section)

    def test_prints(self):
        self.show("full", scheme="dark")
        self.assertGreater(len(self.browser.pdf()), 50_000)

    def test_ten_thousand_cells(self):
        size = (self.folder / "large.html").stat().st_size
        self.assertLess(size, 4_000_000)
        begin = time.monotonic()
        self.show("large")
        self.assertEqual([chart for chart in self.browser.run(DRAWN) if chart["colours"] < 4], [])
        print(f"large.html: {size / 1e6:.1f} MB, opened and drawn in {time.monotonic() - begin:.1f} s", file=sys.stderr)
        self.assertLess(time.monotonic() - begin, 20)  # on a loaded machine; 2 to 3 s on an idle one

    def test_screenshots(self):
        if self.screenshots is None:
            self.skipTest("no --screenshots FOLDER")
        for name in ("full", "bare", "large"):
            for width in (PHONE, DESKTOP):
                for scheme in ("light", "dark"):
                    self.show(name, width, scheme)
                    self.browser.screenshot(self.screenshots / f"{name}-{width}-{scheme}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--databases", required=True)
    parser.add_argument("--screenshots", type=pathlib.Path)
    options = parser.parse_args()
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        print("skipped: no chromium and chromedriver here (Debian: chromium, chromium-driver)")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([options.databases, folder], check=True)
        for database in folder.glob("*.sqlite"):
            subprocess.run([options.program, "report", "--db", database, "-o", database.with_suffix(".html")], check=True,
                           stdout=subprocess.DEVNULL)
        ReportTest.folder, ReportTest.screenshots = folder, options.screenshots
        ReportTest.browser = Browser(chromedriver, chromium)
        try:
            program = unittest.main(argv=["report_test", "-v"], exit=False)
        finally:
            ReportTest.browser.close()
        return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
