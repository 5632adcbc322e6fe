"""Scrapy settings that differ from the defaults, each with its reason (Scrapy 2.19)."""

from scrapy.downloadermiddlewares import cookies
from tldextract import TLDExtract

BOT_NAME = "warta"
SPIDER_MODULES = ["spiders"]
SPIDER_LOADER_WARN_ONLY = True  # a family that cannot be imported must not stop the others
USER_AGENT = "Mozilla/5.0 (compatible; WartaPengadaan/1.0)"  # SPSE refuses agents that do not begin so
TWISTED_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"

REMOTE_CONTROL_ENABLED = False  # on by default: an HTTP server that runs Python
TELNETCONSOLE_ENABLED = False  # on by default: a console open to the machine
# Switched off it is loaded all the same, with an HTTP server: a tenth of the time in which a crawl starts.
EXTENSIONS = {"scrapy.extensions.remote_control.RemoteControl": None}
DOWNLOAD_VERIFY_CERTIFICATES = True  # off by default
ROBOTSTXT_OBEY = True  # off by default
COOKIES_ENABLED = True  # SPSE's token lives in its session cookie

DOWNLOAD_DELAY = 1.0  # seconds; what the portals' shared host asks for
DOWNLOAD_DELAY_JITTER = 0.0  # 0.5 by default, which makes a gap of 1 s one of 0.5 to 1.5 s
CONCURRENT_REQUESTS_PER_DOMAIN = 1  # the host is the scarce thing
CONCURRENT_ITEMS = 1  # 100 by default, which makes about a hundred tasks for every response

DOWNLOAD_TIMEOUT = 60  # 180 s by default; a portal that is slower is down
DOWNLOAD_MAXSIZE = 20 * 1024 * 1024  # 1 GiB by default: room for a bomb
DOWNLOAD_WARNSIZE = 0  # the limit above is the rule; no second one
URLLENGTH_LIMIT = 8192  # SiRUP's search address has about 2,400 characters
RETRY_TIMES = 2
RETRY_HTTP_CODES = [500, 502, 504, 522, 524, 408]  # without 429 and 503: spiders/portal.py obeys Retry-After
METAREFRESH_ENABLED = False  # no source uses it, and it may lead anywhere
REDIRECT_MAX_TIMES = 3
DNS_RESOLVER = "spiders.addresses.PublicResolver"  # for plain Scrapy; spiders/crawl.py installs it itself
DOWNLOAD_HANDLERS = {
    **dict.fromkeys(("http", "https"), "spiders.secrecy.KeyedHandler"),
    **dict.fromkeys(("data", "file", "ftp", "s3")),  # no source has them, and a link may name them
}
DOWNLOADER_MIDDLEWARES = {
    # It lets subdomains pass, and requests that are not to be filtered, as all of ours, with what they redirect to.
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
    "spiders.own_host.OwnHostMiddleware": 50,  # in its place, before robots.txt of another host is asked for
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,  # it asks once a crawler: 730 times a host
    "spiders.robots.RobotsMiddleware": 100,
    "scrapy.downloadermiddlewares.cookies.CookiesMiddleware": None,  # it keeps and sends whatever a portal sets
    "spiders.cookies.FewCookiesMiddleware": 700,
}

ITEM_PIPELINES = {"aggregator.pipeline.RepositoryPipeline": 300}
FEED_EXPORTERS = {"jsonl": "aggregator.exports.jsonl.ReadingExporter"}  # -O out.jsonl writes what export writes
LOG_LEVEL = "INFO"
LOG_FORMATTER = "spiders.log_lines.NamesOnly"  # by default a failed item is logged as a whole
STATS_DUMP = False  # one line a run is logged instead

# Scrapy's cookie code otherwise asks the internet for a list of suffixes.
cookies._split_domain = TLDExtract(suffix_list_urls=(), include_psl_private_domains=True)
